//! Error codes. `docs/errors.md` has a line for each; a test fails when one is missing.

use axum::http::StatusCode;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident $code:literal, $zh:literal, $en:literal;)*) => {
        /// What went wrong, for programs. A code is permanent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it stands in `error`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            pub(super) const fn zh(self) -> &'static str {
                match self {
                    $(Self::$name => $zh,)*
                }
            }

            pub(super) const fn en(self) -> &'static str {
                match self {
                    $(Self::$name => $en,)*
                }
            }
        }
    };
}

error_codes! {
    /// The body is not JSON.
    BadJson = BAD_REQUEST "request.bad_json",
        "请求体不是合法的 JSON，请检查格式后重试", "The body is not valid JSON; check its form and send it again";
    /// A field, parameter or header does not hold what it must.
    Invalid = BAD_REQUEST "request.invalid",
        "请求中有字段不符合要求", "A field of the request does not hold what it must";
    /// No route has this path.
    NoRoute = NOT_FOUND "request.not_found",
        "没有这个接口，请对照 /docs 检查路径", "No endpoint has this path; compare it with /docs";
    /// The path exists, not with this method.
    NoMethod = METHOD_NOT_ALLOWED "request.method_not_allowed",
        "该路径不支持此请求方法，支持的方法见 Allow 头", "This path does not take this method; the Allow header names those that it takes";
    /// The body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT "request.body_timeout",
        "请求体未在 10 秒内传完，请检查网络后重试", "The body did not arrive within 10 seconds; check the network and send it again";
    /// The body is too long.
    BodyTooLarge = PAYLOAD_TOO_LARGE "request.body_too_large",
        "请求体超过该接口的上限（至少 64 KiB），请缩短内容", "The body is over the limit of its endpoint (64 KiB, or what its fields may hold); shorten it";
    /// The body is not declared as JSON.
    NotJson = UNSUPPORTED_MEDIA_TYPE "request.not_json",
        "请求体须为 JSON，请加上请求头 Content-Type: application/json", "The body must be JSON; send it with the header Content-Type: application/json";
    /// Too many requests of this user or address.
    RateLimited = TOO_MANY_REQUESTS "request.rate_limited",
        "请求过于频繁，请在 Retry-After 所示秒数后重试", "Too many requests; try again after the seconds that Retry-After tells";
    /// The Idempotency-Key was used with another request.
    KeyReused = UNPROCESSABLE_ENTITY "idempotency.key_reused",
        "这个 Idempotency-Key 已用于内容不同的请求，请换一个新的键", "This Idempotency-Key was used for another request; give each request its own";
    /// The first request with this Idempotency-Key has no answer yet.
    KeyRunning = CONFLICT "idempotency.running",
        "使用同一 Idempotency-Key 的请求仍在处理，请稍后重试", "The first request with this Idempotency-Key is still running; try again in a moment";
    /// No access token, or one that is unknown, expired or revoked.
    AuthRequired = UNAUTHORIZED "auth.required",
        "请先登录：X-AUTH-TOKEN 缺失、已过期、已注销，或同时带有另一个令牌", "Log in first: the X-AUTH-TOKEN is missing, expired or revoked, or came with another one";
    /// The phone has an account already.
    AccountExists = CONFLICT "account.exists",
        "该手机号已注册，请直接登录", "This phone has an account already; log in instead";
    /// The phone, though proven to be the caller's, has no account.
    AccountUnknown = NOT_FOUND "account.not_registered",
        "该手机号尚未注册，请先注册", "This phone has no account yet; register first";
    /// Wrong phone or password; nobody can tell which.
    LoginRefused = UNAUTHORIZED "account.login_refused",
        "手机号或密码不正确，请检查后重试，或改用短信验证码登录", "The phone or the password is wrong; check them, or log in by SMS code";
    /// The code is wrong, expired, used, or was tried too often.
    CodeRefused = FORBIDDEN "account.code_refused",
        "验证码不正确、已过期或尝试次数过多，请重新获取", "The code is wrong, expired or was tried too often; ask for a new one";
    /// This phone got as many codes as it may in a minute, an hour or a day.
    CodeTooSoon = TOO_MANY_REQUESTS "account.code_too_soon",
        "每个手机号每分钟只能获取一次验证码，每小时和每天的次数也有限，请在 Retry-After 所示秒数后再试", "A phone gets one code a minute, and a limited number an hour and a day; ask again after the seconds that Retry-After tells";
    /// No codes go to phones of this country.
    CountryNotServed = FORBIDDEN "account.country_not_served",
        "暂不支持向该国家或地区的手机号发送验证码", "No SMS codes are sent to phones of this country";
    /// Too many wrong passwords or codes of this phone, device or address.
    TooManyAttempts = TOO_MANY_REQUESTS "account.too_many_attempts",
        "密码或验证码尝试次数过多，请稍后再试；也可改用另一种方式，或在登录过的设备上登录", "Too many wrong passwords or codes; wait, use the other of the two, or a device that has logged in before";
    /// The SMS could not be sent.
    SmsUnavailable = SERVICE_UNAVAILABLE "account.sms_unavailable",
        "短信暂时无法发送，请稍后重试", "The SMS cannot be sent now; try again later";
    /// The present password (or the code) is wrong.
    PasswordRefused = FORBIDDEN "account.password_refused",
        "当前密码不正确，请检查后重试，或改用短信验证码", "The current password is wrong; check it, or prove yourself by SMS code";
    /// The user has no such device.
    DeviceNotFound = NOT_FOUND "account.device_not_found",
        "没有这台设备，请刷新设备列表", "There is no such device of yours; load the list of devices again";
    /// Only doctors do this.
    DoctorsOnly = FORBIDDEN "team.doctors_only",
        "只有医生可以创建和搜索团队", "Only doctors create teams and search them";
    /// No such team, or not to be seen.
    TeamNotFound = NOT_FOUND "team.not_found",
        "没有这个团队，请检查团队 id", "There is no such team; check its id";
    /// The doctor is in as many teams as one may be.
    TeamLimit = CONFLICT "team.limit_reached",
        "每位医生最多创建或加入 5 个团队", "A doctor creates or joins at most 5 teams";
    /// Only the team's owner (and for some things its assistant) does this.
    TeamForbidden = FORBIDDEN "team.forbidden",
        "只有团队创建者（部分操作含群助手）可以这样做", "Only the team's owner (for some things its assistant too) may do this";
    /// No such doctor.
    TeamDoctorNotFound = NOT_FOUND "team.doctor_not_found",
        "没有这位医生，请检查 doctor_id", "There is no such doctor; check doctor_id";
    /// The doctor or the member is in the team already.
    TeamAlreadyIn = CONFLICT "team.already_in",
        "该用户已在团队中，无需再次加入", "This user is in the team already; there is nothing to do";
    /// No such consult, or it is not the caller's.
    ConsultNotFound = NOT_FOUND "consult.not_found",
        "没有这个咨询，请检查咨询 id", "There is no such consult; check its id";
    /// Only members begin consults.
    MembersOnly = FORBIDDEN "consult.members_only",
        "只有会员可以发起咨询", "Only members begin consults";
    /// creator_member_id is somebody else.
    NotCreator = FORBIDDEN "consult.not_creator",
        "creator_member_id 必须是您自己的 id", "creator_member_id must be your own id";
    /// target_member_id is none of the creator's family.
    TargetNotFound = NOT_FOUND "consult.target_not_found",
        "target_member_id 必须是您自己或您的家庭成员", "target_member_id must be yourself or one of your family";
    /// doctor_id is no doctor of the team.
    ConsultDoctorNotFound = NOT_FOUND "consult.doctor_not_found",
        "团队或咨询中没有这位医生，请检查 doctor_id", "The team or the consult has no such doctor; check doctor_id";
    /// The doctor is in the consult already.
    ConsultAlreadyIn = CONFLICT "consult.already_in",
        "这位医生已在咨询中", "The doctor is in the consult already";
    /// The consult is finished or cancelled.
    ConsultEnded = CONFLICT "consult.ended",
        "咨询已结束或已取消，不能再更改", "The consult is finished or cancelled and changes no more";
    /// A consult without a doctor cannot be finished.
    ConsultWaiting = CONFLICT "consult.waiting",
        "尚无医生接诊，不能完成咨询；可以取消", "No doctor was brought in yet, so it cannot be finished; it can be cancelled";
    /// The caller sees the consult, but their role may not do this.
    ConsultForbidden = FORBIDDEN "consult.forbidden",
        "您在该咨询中的角色不能这样做", "Your role in this consult may not do this";
    /// Only consults that have ended can be hidden.
    ConsultNotEnded = CONFLICT "consult.not_ended",
        "进行中的咨询不能从历史中删除", "A consult in progress is not in the history and cannot be deleted from it";
    /// No such person, or no common team or consult.
    ChatNotFound = NOT_FOUND "chat.person_not_found",
        "没有可以私信的此人：需在同一团队，或有过共同的咨询", "There is no such person to chat with: you need a common team, or a consult you shared";
    // Doctors, members, families, clinics, and joining teams.
    /// No such doctor.
    DoctorNotFound = NOT_FOUND "doctor.not_found",
        "没有这位医生，请检查医生 id", "There is no such doctor; check the id";
    /// Only doctors have a page.
    DoctorPageForbidden = FORBIDDEN "doctor.doctors_only",
        "只有医生可以填写医生详情", "Only doctors have a page to fill in";
    /// Only members have a record and a family.
    MemberOnly = FORBIDDEN "member.members_only",
        "只有会员有个人资料和家庭成员", "Only members have a record and a family";
    /// The user's family has no such person.
    FamilyNotFound = NOT_FOUND "family.not_found",
        "您没有这位家庭成员，请刷新家庭成员列表", "Your family has no such person; load the list again";
    /// As many people and open invitations as one may have.
    FamilyLimit = CONFLICT "family.limit_reached",
        "家庭成员与未处理的邀请合计最多 20 个，请先删除或撤回一些", "A family has at most 20 people and open invitations together; remove or withdraw some first";
    /// The person with this phone is in the family, or invited.
    FamilyInvited = CONFLICT "family.already_invited",
        "您已邀请过这个手机号；可在邀请列表中查看或撤回", "You have invited this phone already; your invitation list shows it, and you can withdraw it there";
    /// A person with an account of their own changes their data themselves.
    FamilyOwnData = FORBIDDEN "family.not_dependant",
        "对方有自己的账号，其资料只能由本人修改；您可以修改 relation_type", "They have an account of their own and change their data themselves; you can change relation_type";
    /// No such invitation, or it is somebody else's, or over.
    FamilyInvitationNotFound = NOT_FOUND "family.invitation_not_found",
        "没有这个邀请，或已过期、已撤回，请刷新邀请列表", "There is no such invitation, or it has expired or was withdrawn; load the list again";
    /// No such clinic.
    ClinicNotFound = NOT_FOUND "clinic.not_found",
        "没有这家诊所；按名称查找时须与诊所全名完全一致", "There is no such clinic; a search needs its exact name";
    /// The name is another clinic's.
    ClinicNameTaken = CONFLICT "clinic.name_taken",
        "已有同名诊所，请换一个名称", "Another clinic has this name; choose another one";
    /// Only doctors found clinics.
    ClinicDoctorsOnly = FORBIDDEN "clinic.doctors_only",
        "只有医生可以创建诊所", "Only doctors found clinics";
    /// Only the founder and supervisors do this.
    ClinicForbidden = FORBIDDEN "clinic.forbidden",
        "只有诊所创始人和主管（部分操作仅创始人或本人）可以这样做", "Only the clinic's founder and supervisors (for some things the founder or the doctor alone) may do this";
    /// As many clinics as a doctor may found.
    ClinicLimit = CONFLICT "clinic.limit_reached",
        "每位医生最多创建 5 家诊所", "A doctor founds at most 5 clinics";
    /// No such doctor, or they are not of the clinic.
    ClinicDoctorNotFound = NOT_FOUND "clinic.doctor_not_found",
        "没有这位医生，或其不在该诊所，请检查 id", "There is no such doctor, or they are not of the clinic; check the id";
    /// The doctor is in the clinic already.
    ClinicAlreadyIn = CONFLICT "clinic.already_in",
        "这位医生已在诊所中", "The doctor is in the clinic already";
    /// The founder stays.
    ClinicFounderStays = CONFLICT "clinic.founder_stays",
        "诊所创始人不能移出诊所", "The founder cannot be removed from the clinic";
    /// The owner stays.
    TeamOwnerStays = CONFLICT "team.owner_stays",
        "团队创建者不能退出或被移出团队", "The owner cannot leave the team or be removed from it";
    /// The caller is not in the team.
    TeamNotIn = CONFLICT "team.not_in",
        "您不在该团队中", "You are not in the team";
    /// The team has no such member.
    TeamMemberNotFound = NOT_FOUND "team.member_not_found",
        "团队中没有这位会员，请刷新会员列表", "The team has no such member; load the list again";
    /// Only people join.
    TeamCannotJoin = FORBIDDEN "team.cannot_join",
        "群助手不能加入团队", "A team's assistant joins no team";
    /// The team never had this version.
    AgreementNotFound = NOT_FOUND "team.agreement_not_found",
        "该团队没有这个版本的会员加入协议", "The team has no agreement of this version";
    /// The member saw another version than the current one.
    AgreementChanged = CONFLICT "team.agreement_changed",
        "会员加入协议已更新，请阅读当前版本后再加入", "The agreement has changed; read the current version and join then";
    /// The link is not one of ours, or was changed.
    InvitationRefused = FORBIDDEN "team.invitation_refused",
        "邀请链接无效或被改动，请重新扫码", "The invitation link is not valid or was changed; scan the code again";
    /// The invitation is too old.
    InvitationExpired = CONFLICT "team.invitation_expired",
        "邀请已过期，请向邀请人索取新的邀请", "The invitation has expired; ask for a new one";
    /// Somebody else used it up, or it was withdrawn.
    InvitationUsedUp = CONFLICT "team.invitation_used_up",
        "邀请已用完或已撤回，请向邀请人索取新的邀请", "The invitation is used up or was withdrawn; ask for a new one";
    /// The team has no such invitation.
    InvitationNotFound = NOT_FOUND "team.invitation_not_found",
        "没有这个邀请，或已过期", "There is no such invitation, or it has expired";
    /// As many open invitations as a team may have.
    InvitationLimit = CONFLICT "team.invitation_limit_reached",
        "每个团队的链接邀请和个人邀请各最多 100 个，请先撤回一些", "A team has at most 100 invitations by link and 100 in person that have not expired; withdraw some first";
    /// The clinic's link is not one of ours, or was changed.
    ClinicInvitationRefused = FORBIDDEN "clinic.invitation_refused",
        "邀请链接无效或被改动，请重新扫码", "The invitation link is not valid or was changed; scan the code again";
    /// The invitation into the clinic is too old.
    ClinicInvitationExpired = CONFLICT "clinic.invitation_expired",
        "邀请已过期，请向邀请人索取新的邀请", "The invitation has expired; ask for a new one";
    /// The invitation into the clinic was used up or withdrawn.
    ClinicInvitationUsedUp = CONFLICT "clinic.invitation_used_up",
        "邀请已用完或已撤回，请向邀请人索取新的邀请", "The invitation is used up or was withdrawn; ask for a new one";
    /// The clinic has no such invitation.
    ClinicInvitationNotFound = NOT_FOUND "clinic.invitation_not_found",
        "没有这个邀请，或已过期", "There is no such invitation, or it has expired";
    /// As many open invitations as a clinic may have.
    ClinicInvitationLimit = CONFLICT "clinic.invitation_limit_reached",
        "每家诊所的链接邀请和个人邀请各最多 100 个，请先撤回一些", "A clinic has at most 100 invitations by link and 100 in person that have not expired; withdraw some first";
    /// The caller is not in the clinic.
    ClinicNotIn = CONFLICT "clinic.not_in",
        "您不在该诊所中", "You are not in the clinic";
    /// Only doctors are invited into teams and clinics.
    InvitationDoctorsOnly = FORBIDDEN "invitation.doctors_only",
        "只有医生会收到团队和诊所的邀请", "Only doctors are invited into teams and clinics";
    /// No such invitation of the caller, or it is over.
    DoctorInvitationNotFound = NOT_FOUND "invitation.not_found",
        "没有这个邀请，或已过期、已撤回，请刷新邀请列表", "There is no such invitation, or it has expired or was withdrawn; load the list again";
    // Value-added services and operators.
    /// No such value-added service, or it is of a consult that the caller is not in.
    VasNotFound = NOT_FOUND "vas.not_found",
        "没有这项增值服务，请检查增值服务 id", "There is no such value-added service; check its id";
    /// The caller sees the service, but this step is somebody else's.
    VasForbidden = FORBIDDEN "vas.forbidden",
        "只有患者可以确认或拒绝，只有提出的医生可以撤回", "Only the patient confirms or declines it, and only the doctor who proposed it withdraws it";
    /// It was confirmed.
    VasConfirmed = CONFLICT "vas.confirmed",
        "患者已确认这项增值服务，不能再更改", "The patient has confirmed this value-added service; it changes no more";
    /// It was declined.
    VasDeclined = CONFLICT "vas.declined",
        "患者已拒绝这项增值服务，不能再更改", "The patient has declined this value-added service; it changes no more";
    /// It was withdrawn.
    VasWithdrawn = CONFLICT "vas.withdrawn",
        "这项增值服务已撤回，不能再更改", "This value-added service was withdrawn; it changes no more";
    /// Only decided services can be deleted from one's lists.
    VasUndecided = CONFLICT "vas.undecided",
        "尚未确认、拒绝或撤回的增值服务不能删除", "A value-added service that is still proposed cannot be deleted from one's lists";
    /// As many services are proposed in the consult as may be.
    VasLimit = CONFLICT "vas.limit_reached",
        "每个咨询最多同时有 20 项待确认的增值服务，请先撤回一些", "At most 20 value-added services are proposed in a consult at a time; withdraw some first";
    /// Only doctors of the team have services in it.
    VasTeamDoctorsOnly = FORBIDDEN "vas.team_doctors_only",
        "只有该团队的医生可以查看自己在其中提出的增值服务", "Only doctors of the team have value-added services in it";
    /// The operator has disabled the account.
    AccountDisabled = FORBIDDEN "account.disabled",
        "该账号已停用，请联系平台客服", "This account is disabled; contact the platform";
    /// Only operators do this.
    OperatorsOnly = FORBIDDEN "operator.only",
        "只有平台运营人员可以这样做", "Only operators of the platform may do this";
    /// Wrong name or password; nobody can tell which.
    OperatorLoginRefused = UNAUTHORIZED "operator.login_refused",
        "名称或密码不正确，请检查后重试；忘记密码可用 huizhen operator reset 重置", "The name or the password is wrong; check them, or have it reset by `huizhen operator reset`";
    /// No such person, for an operator.
    OperatorPersonNotFound = NOT_FOUND "operator.person_not_found",
        "没有这个账号，请检查 id", "There is no such account; check its id";
    /// Something that the service needs is away.
    Unavailable = SERVICE_UNAVAILABLE "server.unavailable",
        "服务暂时不可用，请在 Retry-After 所示秒数后重试", "The service is not available now; try again after the seconds that Retry-After tells";
    /// The database serves reads and takes no writes.
    ReadOnly = SERVICE_UNAVAILABLE "server.read_only",
        "服务暂时只能查看，无法保存更改，请在 Retry-After 所示秒数后重试", "For the moment the service can be read, but nothing can be saved; try again after the seconds that Retry-After tells";
    /// A fault of ours.
    Internal = INTERNAL_SERVER_ERROR "server.internal",
        "服务器内部错误，请稍后重试；反馈时请附上 request_id", "An error of the server; try again later, and quote request_id when you report it";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_dotted_and_of_an_error_status() {
        let mut seen = HashSet::new();
        for code in ErrorCode::ALL {
            assert!(seen.insert(code.as_str()), "{} is there twice", code.as_str());
            assert!(
                code.as_str()
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_')
            );
            assert_eq!(code.as_str().matches('.').count(), 1);
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn every_code_has_its_line_in_the_documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
        let text = std::fs::read_to_string(path).unwrap();
        for code in ErrorCode::ALL {
            let line = format!("| `{}` | {} |", code.as_str(), code.status().as_u16());
            assert!(
                text.contains(&line),
                "docs/errors.md lacks a line that begins with {line}"
            );
        }
    }
}

//! Error codes: `docs/errors.md` has a line for each, with what the app and the operator do.

use std::borrow::Cow;

use axum::http::StatusCode;

use super::Language;

/// A code, its limit if its sentence names one, its HTTP status, its word, its sentence in Chinese and in English.
macro_rules! error_codes {
    ($($name:ident $(($limit:literal))? = $status:ident $word:literal, $zh:literal, $en:literal;)*) => {
        /// An error, for programs. A code is permanent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $en] $name,)*
        }

        impl ErrorCode {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As it stands in `error`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The HTTP status that it comes with.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$name => StatusCode::$status,)*
                }
            }

            /// The limit that its sentence names: the code that enforces the limit takes it from here.
            ///
            /// # Panics
            /// At compile time, where the code has none.
            pub(crate) const fn limit(self) -> i64 {
                match self {
                    $($(Self::$name => $limit,)?)*
                    _ => panic!("the sentence of this code names no limit"),
                }
            }

            /// The sentence for users.
            pub(super) fn sentence(self, language: Language) -> Cow<'static, str> {
                let (zh, en, limit) = match self {
                    $(Self::$name => ($zh, $en, [$($limit,)?].first().copied()),)*
                };
                let sentence = match language {
                    Language::Chinese => zh,
                    Language::English => en,
                };
                limit.map_or(Cow::Borrowed(sentence), |limit: i64| {
                    sentence.replace("{limit}", &limit.to_string()).into()
                })
            }
        }
    };
}

error_codes! {
    BadJson = BAD_REQUEST "request.bad_json",
        "请求体不是合法的 JSON，请检查格式后重试", "The body is not valid JSON; check its syntax and send it again";
    Invalid = BAD_REQUEST "request.invalid",
        "请求中有无效的字段", "A field of the request is invalid";
    NoRoute = NOT_FOUND "request.not_found",
        "没有这个接口，请对照 /docs 检查路径", "No endpoint has this path; compare it with /docs";
    NoMethod = METHOD_NOT_ALLOWED "request.method_not_allowed",
        "该路径不支持此请求方法，支持的方法见 Allow 头", "This path does not support this method; the Allow header lists the supported ones";
    BodyTimeout(10) = REQUEST_TIMEOUT "request.body_timeout",
        "请求体未在 {limit} 秒内传完，请检查网络后重试", "The body did not arrive within {limit} seconds; check the network and send it again";
    BodyTooLarge(64) = PAYLOAD_TOO_LARGE "request.body_too_large",
        "请求体超过该接口的上限（至少 {limit} KiB），请缩短内容", "The body exceeds the limit of its endpoint (at least {limit} KiB); shorten it";
    NotJson = UNSUPPORTED_MEDIA_TYPE "request.not_json",
        "请求体须为 JSON，请加上请求头 Content-Type: application/json", "The body must be JSON; send it with the header Content-Type: application/json";
    RateLimited = TOO_MANY_REQUESTS "request.rate_limited",
        "请求过于频繁，请在 Retry-After 所示秒数后重试", "Too many requests; retry after the seconds in Retry-After";
    KeyReused = UNPROCESSABLE_ENTITY "idempotency.key_reused",
        "这个 Idempotency-Key 已用于内容不同的请求，请换一个新的键", "This Idempotency-Key was used for another request; use a new key for each request";
    KeyRunning = CONFLICT "idempotency.running",
        "使用同一 Idempotency-Key 的请求仍在处理，请稍后重试", "The first request with this Idempotency-Key is still running; retry in a moment";
    AuthRequired = UNAUTHORIZED "auth.required",
        "请先登录：X-AUTH-TOKEN 缺失、已过期、已注销，或请求同时带有另一个令牌", "Log in first: the X-AUTH-TOKEN is missing, expired or revoked, or the request carries another token too";
    AccountExists = CONFLICT "account.exists",
        "该手机号已注册，请直接登录", "This phone already has an account; log in instead";
    AccountUnknown = NOT_FOUND "account.not_registered",
        "该手机号尚未注册，请先注册", "This phone has no account yet; register first";
    LoginRefused = UNAUTHORIZED "account.login_refused",
        "手机号或密码不正确，请检查后重试，或改用短信验证码登录", "The phone or the password is wrong; check both, or log in by SMS code";
    CodeRefused = FORBIDDEN "account.code_refused",
        "验证码不正确、已过期或尝试次数过多，请重新获取", "The code is wrong, expired or was tried too often; request a new one";
    CodeTooSoon = TOO_MANY_REQUESTS "account.code_too_soon",
        "每个手机号每分钟只能获取一次验证码，每小时和每天的次数也有限，请在 Retry-After 所示秒数后再试", "A phone gets one code a minute, and a limited number an hour and a day; retry after the seconds in Retry-After";
    CountryNotServed = FORBIDDEN "account.country_not_served",
        "暂不支持向该国家或地区的手机号发送验证码", "SMS codes are not sent to phones of this country";
    TooManyAttempts = TOO_MANY_REQUESTS "account.too_many_attempts",
        "密码或验证码错误次数过多，请稍后再试；也可改用另一种方式，或在登录过的设备上登录", "Too many wrong passwords or codes; wait, use the other method, or log in on a device that has logged in before";
    SmsUnavailable = SERVICE_UNAVAILABLE "account.sms_unavailable",
        "短信暂时无法发送，请稍后重试", "The SMS cannot be sent now; try again later";
    PasswordRefused = FORBIDDEN "account.password_refused",
        "当前密码不正确，请检查后重试，或改用短信验证码", "The current password is wrong; check it, or use an SMS code instead";
    DeviceNotFound = NOT_FOUND "account.device_not_found",
        "没有这台设备，请刷新设备列表", "You have no such device; reload the list of devices";
    DoctorsOnly = FORBIDDEN "team.doctors_only",
        "只有医生可以创建和搜索团队", "Only doctors may create and search teams";
    TeamNotFound = NOT_FOUND "team.not_found",
        "没有这个团队，请检查团队 id", "This team does not exist; check its id";
    TeamLimit(5) = CONFLICT "team.limit_reached",
        "每位医生最多创建或加入 {limit} 个团队", "A doctor may create or join at most {limit} teams";
    TeamForbidden = FORBIDDEN "team.forbidden",
        "只有团队创建者（部分操作含群助手）可以执行此操作", "Only the team's owner (in some cases its assistant too) may do this";
    TeamDoctorNotFound = NOT_FOUND "team.doctor_not_found",
        "没有这位医生，请检查 doctor_id", "This doctor does not exist; check doctor_id";
    TeamAlreadyIn = CONFLICT "team.already_in",
        "该用户已在团队中，无需再次加入", "This user is already in the team";
    ConsultNotFound = NOT_FOUND "consult.not_found",
        "没有这个咨询，请检查咨询 id", "This consult does not exist; check its id";
    MembersOnly = FORBIDDEN "consult.members_only",
        "只有会员可以发起咨询", "Only members may begin consults";
    NotCreator = FORBIDDEN "consult.not_creator",
        "creator_member_id 必须是您自己的 id", "creator_member_id must be your own id";
    TargetNotFound = NOT_FOUND "consult.target_not_found",
        "target_member_id 必须是您自己或您的家庭成员", "target_member_id must be you or a member of your family";
    ConsultDoctorNotFound = NOT_FOUND "consult.doctor_not_found",
        "团队或咨询中没有这位医生，请检查 doctor_id", "This doctor is not in the team or the consult; check doctor_id";
    ConsultAlreadyIn = CONFLICT "consult.already_in",
        "这位医生已在咨询中", "This doctor is already in the consult";
    ConsultEnded = CONFLICT "consult.ended",
        "咨询已结束或已取消，不能再更改", "The consult is finished or cancelled and can no longer change";
    ConsultWaiting = CONFLICT "consult.waiting",
        "尚无医生接诊，不能完成咨询；可以取消", "A consult without a doctor cannot be finished; cancel it instead";
    ConsultForbidden = FORBIDDEN "consult.forbidden",
        "您在该咨询中的角色不能执行此操作", "Your role in this consult does not allow this";
    ConsultNotEnded = CONFLICT "consult.not_ended",
        "进行中的咨询不能从历史中删除", "A consult in progress cannot be deleted from the history";
    ChatNotFound = NOT_FOUND "chat.person_not_found",
        "不能与该用户私信：双方须在同一团队，或有过共同的咨询", "You cannot chat with this user: you need a common team or a common consult";
    // Doctors, members, families, clinics, and joining teams.
    DoctorNotFound = NOT_FOUND "doctor.not_found",
        "没有这位医生，请检查医生 id", "This doctor does not exist; check the id";
    DoctorPageForbidden = FORBIDDEN "doctor.doctors_only",
        "只有医生可以填写医生详情", "Only doctors have a page to fill in";
    MemberOnly = FORBIDDEN "member.members_only",
        "只有会员有个人资料和家庭成员", "Only members have a record and a family";
    FamilyNotFound = NOT_FOUND "family.not_found",
        "您没有这位家庭成员，请刷新家庭成员列表", "This user is not in your family; reload the list";
    FamilyLimit(20) = CONFLICT "family.limit_reached",
        "家庭成员与未处理的邀请合计最多 {limit} 个，请先删除或撤回一些", "A family has at most {limit} members and open invitations together; remove or revoke some first";
    FamilyInvited = CONFLICT "family.already_invited",
        "您已邀请过这个手机号；可在邀请列表中查看或撤回", "You have already invited this phone; see or revoke the invitation in your list";
    FamilyOwnData = FORBIDDEN "family.not_dependant",
        "对方有自己的账号，其资料只能由本人修改；您可以修改 relation_type", "Users with an account change their own data; you may change relation_type";
    FamilyInvitationNotFound = NOT_FOUND "family.invitation_not_found",
        "没有这个邀请，或已过期、已撤回，请刷新邀请列表", "This invitation does not exist, has expired or was revoked; reload the list";
    ClinicNotFound = NOT_FOUND "clinic.not_found",
        "没有这家诊所；按名称查找时须与诊所全名完全一致", "This clinic does not exist; a search needs its full name";
    ClinicNameTaken = CONFLICT "clinic.name_taken",
        "已有同名诊所，请换一个名称", "Another clinic has this name; choose another one";
    ClinicDoctorsOnly = FORBIDDEN "clinic.doctors_only",
        "只有医生可以创建诊所", "Only doctors may found clinics";
    ClinicForbidden = FORBIDDEN "clinic.forbidden",
        "只有诊所创始人和主管（部分操作仅创始人或本人）可以执行此操作", "Only the clinic's founder and supervisors (in some cases only the founder or the doctor in question) may do this";
    ClinicLimit(5) = CONFLICT "clinic.limit_reached",
        "每位医生最多创建 {limit} 家诊所", "A doctor may found at most {limit} clinics";
    ClinicDoctorNotFound = NOT_FOUND "clinic.doctor_not_found",
        "没有这位医生，或其不在该诊所，请检查 id", "This doctor does not exist or is not in the clinic; check the id";
    ClinicAlreadyIn = CONFLICT "clinic.already_in",
        "这位医生已在诊所中", "This doctor is already in the clinic";
    ClinicFounderStays = CONFLICT "clinic.founder_stays",
        "诊所创始人不能退出或被移出诊所", "The founder cannot leave the clinic or be removed from it";
    TeamOwnerStays = CONFLICT "team.owner_stays",
        "团队创建者不能退出或被移出团队", "The owner cannot leave the team or be removed from it";
    TeamNotIn = CONFLICT "team.not_in",
        "您不在该团队中", "You are not in the team";
    TeamMemberNotFound = NOT_FOUND "team.member_not_found",
        "团队中没有这位会员，请刷新会员列表", "This member is not in the team; reload the list";
    TeamCannotJoin = FORBIDDEN "team.cannot_join",
        "群助手和平台运营人员不能加入团队", "Assistants and operators cannot join teams";
    AgreementNotFound = NOT_FOUND "team.agreement_not_found",
        "该团队没有这个版本的会员加入协议", "The team has no agreement of this version";
    AgreementChanged = CONFLICT "team.agreement_changed",
        "会员加入协议已更新，请阅读当前版本后再加入", "The agreement has changed; read the current version before you join";
    InvitationRefused = FORBIDDEN "team.invitation_refused",
        "邀请链接无效或被改动，请重新扫码", "The invitation link is invalid or was changed; scan the code again";
    InvitationExpired = CONFLICT "team.invitation_expired",
        "邀请已过期，请向邀请人索取新的邀请", "The invitation has expired; ask for a new one";
    InvitationUsedUp = CONFLICT "team.invitation_used_up",
        "邀请已用完或已撤回，请向邀请人索取新的邀请", "The invitation is used up or was revoked; ask for a new one";
    InvitationNotFound = NOT_FOUND "team.invitation_not_found",
        "没有这个邀请，或已过期", "This invitation does not exist or has expired";
    InvitationLimit(100) = CONFLICT "team.invitation_limit_reached",
        "每个团队的链接邀请和个人邀请各最多 {limit} 个，请先撤回一些", "A team has at most {limit} open invitations by link and {limit} in person; revoke some first";
    ClinicInvitationRefused = FORBIDDEN "clinic.invitation_refused",
        "邀请链接无效或被改动，请重新扫码", "The invitation link is invalid or was changed; scan the code again";
    ClinicInvitationExpired = CONFLICT "clinic.invitation_expired",
        "邀请已过期，请向邀请人索取新的邀请", "The invitation has expired; ask for a new one";
    ClinicInvitationUsedUp = CONFLICT "clinic.invitation_used_up",
        "邀请已用完或已撤回，请向邀请人索取新的邀请", "The invitation is used up or was revoked; ask for a new one";
    ClinicInvitationNotFound = NOT_FOUND "clinic.invitation_not_found",
        "没有这个邀请，或已过期", "This invitation does not exist or has expired";
    ClinicInvitationLimit(100) = CONFLICT "clinic.invitation_limit_reached",
        "每家诊所的链接邀请和个人邀请各最多 {limit} 个，请先撤回一些", "A clinic has at most {limit} open invitations by link and {limit} in person; revoke some first";
    ClinicNotIn = CONFLICT "clinic.not_in",
        "您不在该诊所中", "You are not in the clinic";
    InvitationDoctorsOnly = FORBIDDEN "invitation.doctors_only",
        "只有医生会收到团队和诊所的邀请", "Only doctors are invited into teams and clinics";
    DoctorInvitationNotFound = NOT_FOUND "invitation.not_found",
        "没有这个邀请，或已过期、已撤回，请刷新邀请列表", "This invitation does not exist, has expired or was revoked; reload the list";
    // Value-added services and operators.
    VasNotFound = NOT_FOUND "vas.not_found",
        "没有这项增值服务，请检查增值服务 id", "This value-added service does not exist; check its id";
    VasForbidden = FORBIDDEN "vas.forbidden",
        "只有患者可以确认或拒绝，只有提出的医生可以撤回", "Only the patient may confirm or decline, and only the doctor who proposed may retract";
    VasConfirmed = CONFLICT "vas.confirmed",
        "患者已确认这项增值服务，不能再更改", "The patient has confirmed this value-added service; it can no longer change";
    VasDeclined = CONFLICT "vas.declined",
        "患者已拒绝这项增值服务，不能再更改", "The patient has declined this value-added service; it can no longer change";
    VasRetracted = CONFLICT "vas.withdrawn",
        "这项增值服务已撤回，不能再更改", "This value-added service was retracted; it can no longer change";
    VasUndecided = CONFLICT "vas.undecided",
        "尚未确认、拒绝或撤回的增值服务不能删除", "A value-added service that is still proposed cannot be deleted";
    VasLimit(20) = CONFLICT "vas.limit_reached",
        "每个咨询最多同时有 {limit} 项待确认的增值服务，请先撤回一些", "A consult has at most {limit} proposed value-added services at a time; retract some first";
    VasTeamDoctorsOnly = FORBIDDEN "vas.team_doctors_only",
        "只有该团队的医生可以查看自己在其中提出的增值服务", "Only doctors of the team have value-added services in it";
    AccountDisabled = FORBIDDEN "account.disabled",
        "该账号已停用，请联系平台客服", "This account is disabled; contact the platform's support";
    OperatorsOnly = FORBIDDEN "operator.only",
        "只有平台运营人员可以执行此操作", "Only operators of the platform may do this";
    OperatorLoginRefused = UNAUTHORIZED "operator.login_refused",
        "名称或密码不正确，请检查后重试；忘记密码可用 huizhen operator reset 重置", "The name or the password is wrong; check both, or reset the password with `huizhen operator reset`";
    OperatorPersonNotFound = NOT_FOUND "operator.person_not_found",
        "没有这个账号，请检查 id", "This account does not exist; check its id";
    Unavailable = SERVICE_UNAVAILABLE "server.unavailable",
        "服务暂时不可用，请在 Retry-After 所示秒数后重试", "The service is unavailable; retry after the seconds in Retry-After";
    ReadOnly = SERVICE_UNAVAILABLE "server.read_only",
        "服务暂时只能查看，无法保存更改，请在 Retry-After 所示秒数后重试", "The service is read-only for the moment and cannot save changes; retry after the seconds in Retry-After";
    Internal = INTERNAL_SERVER_ERROR "server.internal",
        "服务器内部错误，请稍后重试；反馈时请附上 request_id", "Internal server error; try again later, and quote request_id when you report it";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_sentence_names_the_limit_of_its_code_and_no_placeholder() {
        for code in ErrorCode::ALL {
            for language in [Language::Chinese, Language::English] {
                let sentence = code.sentence(language);
                assert!(!sentence.contains(['{', '}']), "{sentence}");
            }
        }
        assert_eq!(ErrorCode::TeamLimit.limit(), 5);
        for language in [Language::Chinese, Language::English] {
            assert!(ErrorCode::TeamLimit.sentence(language).contains(" 5 "));
        }
    }

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

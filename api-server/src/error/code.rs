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
    ExportForbidden = FORBIDDEN "account.export_forbidden",
        "只有会员和医生可以导出自己的数据", "Only members and doctors export their own data";
    ExportLimit(3) = TOO_MANY_REQUESTS "account.export_limit_reached",
        "每天最多导出 {limit} 次，请在 Retry-After 所示秒数后再试", "An account is exported {limit} times a day at most; retry after the seconds in Retry-After";
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
    OperatorUserNotFound = NOT_FOUND "operator.person_not_found",
        "没有这个账号，请检查 id", "This account does not exist; check its id";
    ReconcileRunning = CONFLICT "operator.reconcile_running",
        "账目核对正在进行，请等它结束后再试", "A proof of the ledger is running; try again when it has ended";
    // Money.
    KeyRequired = BAD_REQUEST "idempotency.key_required",
        "该请求会动用资金，请带上 Idempotency-Key 请求头", "This request moves money; send it with an Idempotency-Key header";
    WalletMembersOnly = FORBIDDEN "wallet.members_only",
        "只有会员有钱包", "Only members have a wallet";
    WalletInsufficient = PAYMENT_REQUIRED "wallet.insufficient",
        "余额不足，请先充值", "The balance is too low; top up first";
    WalletLimit = CONFLICT "wallet.limit_reached",
        "账户余额将超过上限，请联系平台客服", "The balance would exceed its limit; contact the platform's support";
    WalletOrderNotFound = NOT_FOUND "wallet.order_not_found",
        "没有这个充值订单，请检查订单 id", "This order does not exist; check its id";
    WalletOrderLimit(20) = CONFLICT "wallet.order_limit_reached",
        "未支付的充值订单最多 {limit} 个，请先支付，或等待它们过期", "At most {limit} orders may be open; pay them, or wait until they expire";
    ProviderOff = CONFLICT "wallet.provider_off",
        "平台目前未开通这种支付方式：充值请换一种，退回请减少金额或联系平台客服", "The platform does not offer this provider now; choose another one, or get less back and contact the platform's support";
    ProviderAway = SERVICE_UNAVAILABLE "wallet.provider_away",
        "支付渠道暂时不可用，请稍后重试", "The payment provider is unavailable; try again later";
    ProviderRefused = CONFLICT "wallet.provider_refused",
        "支付渠道拒绝了这笔订单，请核对后重新下单，或换一种支付方式", "The payment provider refused this order; check it and make a new one, or choose another provider";
    PayBackTooMuch = CONFLICT "wallet.not_refundable",
        "可原路退回的金额不足，请减少金额或联系平台客服", "Less than this can go back to where it came from; lower the amount or contact the platform's support";
    PayBackLimit(20) = CONFLICT "wallet.refund_limit_reached",
        "一次最多退回到 {limit} 笔充值订单，请减少金额，其余可在之后再次申请", "One request pays back to at most {limit} orders; lower the amount, and ask for the rest afterwards";
    PaymentNoticeRefused = BAD_REQUEST "payment.notice_refused",
        "支付通知未通过校验", "The payment notice was refused";
    PriceChanged = CONFLICT "team.price_changed",
        "价格已变更，请确认新价格后重试", "The price has changed; confirm the new one and try again";
    RefundForbidden = FORBIDDEN "refund.forbidden",
        "只有团队创建者和平台运营人员可以退款", "Only the team's owner and operators may refund";
    RefundNotCharged = CONFLICT "refund.not_charged",
        "这笔费用尚未收取，不能退款", "Nothing was charged yet, so nothing can be refunded";
    RefundTooMuch = CONFLICT "refund.too_much",
        "退款合计不能超过已收金额", "Refunds cannot exceed what was charged";
    IncomeInsufficient = CONFLICT "income.insufficient",
        "团队收入余额不足", "The team's income is too low";
    WindowClosed = FORBIDDEN "withdrawal.window_closed",
        "现在不是提现时间：每月 1 日至 5 日（北京时间）可提现", "Income is withdrawn on days 1 to 5 of a month, Beijing time";
    WithdrawalNotFound = NOT_FOUND "withdrawal.not_found",
        "没有这笔提现，请检查提现 id", "This withdrawal does not exist; check its id";
    WithdrawalTooMuch = CONFLICT "withdrawal.too_much",
        "超过可提现总数，请减少金额", "This exceeds the withdrawable sum; lower the amount";
    WithdrawalLimit(20) = CONFLICT "withdrawal.limit_reached",
        "每个团队每月最多提现 {limit} 次，请在下月提现", "A team withdraws at most {limit} times a month; withdraw the rest next month";
    PayeeMissing = CONFLICT "withdrawal.payee_missing",
        "请先设置收款账户", "Set the account that income is paid to first";
    PayeeTooNew = CONFLICT "withdrawal.payee_too_new",
        "收款账户变更后 24 小时内不能提现", "Income is not withdrawn within 24 hours of a change of the payee";
    PayeeRefused = FORBIDDEN "withdrawal.password_refused",
        "密码或验证码不正确，收款账户未变更", "The password or the code is wrong; the payee stays as it was";
    WithdrawalEnded = CONFLICT "withdrawal.ended",
        "这笔提现已有结果，不能再更改", "This withdrawal has ended and can no longer change";
    WithdrawalNotEntered = CONFLICT "withdrawal.not_entered",
        "尚未录入付款结果，不能复核", "No outcome was entered yet, so nothing can be approved";
    OwnApproval = FORBIDDEN "operator.own_approval",
        "录入、导出或发起的人不能复核，请由另一位运营人员复核", "Another operator must approve what you entered, exported or asked for";
    CreditNotFound = NOT_FOUND "credit.not_found",
        "没有这笔人工入账，请检查 id", "This credit does not exist; check its id";
    CreditEnded = CONFLICT "credit.ended",
        "这笔人工入账已有结果，不能再更改", "This credit has ended and can no longer change";
    TransferNotFound = NOT_FOUND "transfer.not_found",
        "没有这笔转账，请检查 id", "This transfer does not exist; check its id";
    NotReversible = CONFLICT "reversal.not_reversible",
        "这笔转账不能冲正，请改用退款、取消咨询或录入付款失败", "This transfer is not reversed; refund it, cancel its consult, or enter the payout as failed";
    ReversalAsked = CONFLICT "reversal.asked",
        "这笔转账已申请冲正或已冲正，不能重复", "A reversal of this transfer was asked for or made before";
    ReversalNotFound = NOT_FOUND "reversal.not_found",
        "没有这笔冲正，请检查 id", "This reversal does not exist; check its id";
    ReversalEnded = CONFLICT "reversal.ended",
        "这笔冲正已有结果，不能再更改", "This reversal has ended and can no longer change";
    ReversalInsufficient = CONFLICT "reversal.insufficient",
        "余额不足，冲正后账户会低于零", "The reversal would take an account below zero";
    CommissionPast = CONFLICT "commission.past",
        "佣金只能从将来的时间起变更", "A commission begins in the future only";
    BillItemNotFound = NOT_FOUND "bill_item.not_found",
        "没有这项对账差异，请检查 id", "This difference does not exist; check its id";
    BillItemClosed = CONFLICT "bill_item.closed",
        "这项对账差异已关闭", "This difference was closed before";
    JobNotFound = NOT_FOUND "job.not_found",
        "没有这个后台任务，请检查名称", "This job does not exist; check its name";
    // Verified doctors, and the life of teams and clinics.
    DoctorUnverified = FORBIDDEN "doctor.not_verified",
        "只有执业资格已通过审核的医生可以执行此操作，请在“执业认证”中提交或查看审核结果", "Only doctors whose licence an operator has approved may do this; ask for it, or see its state, in GET /doctor/verification";
    VerificationSettled = CONFLICT "doctor.verification_settled",
        "执业认证已通过或已被暂停，不能再次提交", "The verification was approved or suspended; it cannot be asked for again";
    VerificationNotFound = NOT_FOUND "doctor.verification_not_found",
        "没有这位医生的认证申请，请检查 id", "This doctor has not asked for a verification; check the id";
    VerificationState = CONFLICT "doctor.verification_state",
        "认证的当前状态不允许此操作，请刷新后重试", "The verification is in another state than this needs; load it again";
    TeamClosed = CONFLICT "team.closed",
        "该团队已被平台关闭，暂不接待新的会员和咨询", "The platform has closed this team; it takes no new members and consults";
    TeamDissolved = CONFLICT "team.dissolved",
        "该团队已解散", "This team was dissolved";
    TeamBlocked = FORBIDDEN "team.blocked",
        "您已被该团队移出，不能再次加入或发起咨询", "The team has removed you; you cannot join it or begin consults with it";
    TeamHasConsults = CONFLICT "team.has_consults",
        "团队仍有未结束的咨询，请先结束或取消它们", "The team has open consults; finish or cancel them first";
    TeamHasFees = CONFLICT "team.has_fees",
        "仍有会员的会费余额未退还，请先移出这些会员", "Membership fees are not used up; remove those members first, which returns them";
    TeamHasIncome = CONFLICT "team.has_income",
        "团队仍有未提现的收入或处理中的提现，请先提现", "The team has income or a running withdrawal; withdraw the income first";
    ClinicClosed = CONFLICT "clinic.closed",
        "该诊所已被平台关闭", "The platform has closed this clinic";
    ClinicDissolved = CONFLICT "clinic.dissolved",
        "该诊所已解散", "This clinic was dissolved";
    ClinicBlocked = FORBIDDEN "clinic.blocked",
        "您已被该诊所移出，不能再次加入", "The clinic has removed you; you cannot join it again";
    ClinicHasTeams = CONFLICT "clinic.has_teams",
        "诊所下仍有团队，请先移出这些团队", "Teams belong to the clinic; take them out first";
    ClinicTeamTaken = CONFLICT "clinic.team_taken",
        "该团队已属于其他诊所", "The team belongs to another clinic";
    ClinicTeamNotFound = NOT_FOUND "clinic.team_not_found",
        "诊所下没有这个团队", "This team does not belong to the clinic";
    ClinicTeamOwner = CONFLICT "clinic.team_owner_not_in",
        "团队创建者不是该诊所的医生，请先邀请其加入诊所", "The team’s owner is no doctor of the clinic; invite them first";
    ClinicTeamLimit(100) = CONFLICT "clinic.team_limit_reached",
        "每家诊所最多有 {limit} 个团队", "A clinic has at most {limit} teams";
    OfferNotFound = NOT_FOUND "offer.not_found",
        "没有这个移交请求，或已过期、已撤回", "Nothing is handed to you here, or the offer has expired or was revoked";
    MembershipRequired = FORBIDDEN "consult.membership_required",
        "该团队只接待会员，请先阅读协议并加入团队（POST /team/join）", "This team serves its members only; read its agreement and join it first (POST /team/join)";
    AgreementRequired = FORBIDDEN "consult.agreement_changed",
        "会员加入协议已更新，请先阅读并接受当前版本", "The agreement of the team has changed; read and accept its current version first";
    OpenConsultLimit = CONFLICT "consult.open_limit_reached",
        "您在该团队进行中的咨询已达上限，请等其中一个结束", "You have as many open consults with this team as it allows; wait until one has ended";
    // Media.
    MediaOff = CONFLICT "media.off",
        "本服务不保存媒体文件", "This service keeps no media";
    MediaNotFound = NOT_FOUND "media.not_found",
        "没有这个媒体文件，或您已无权查看", "This medium does not exist, or you may not see it";
    MediaTooLarge = PAYLOAD_TOO_LARGE "media.too_large",
        "文件过大：图片最大 20 MiB，其他最大 100 MiB", "Too large: a picture may have 20 MiB, another medium 100 MiB";
    MediaDaily = TOO_MANY_REQUESTS "media.daily_limit_reached",
        "今天上传的内容已达上限，请稍后再试", "You have uploaded as much as a day permits; try again later";
    MediaUnfinished(20) = CONFLICT "media.unfinished_limit_reached",
        "未完成的上传最多 {limit} 个，请先完成一些", "At most {limit} uploads may be unfinished; finish some first";
    MediaOffset = CONFLICT "media.offset",
        "上传应从 Upload-Offset 头所示的字节继续", "The upload goes on at the byte that the header Upload-Offset names";
    MediaBusy = CONFLICT "media.busy",
        "另一个请求正在上传此文件，请稍后再试", "Another request is sending this upload; try again in a moment";
    MediaFinished = CONFLICT "media.finished",
        "此上传已完成，不能再更改", "This upload is finished and can no longer change";
    MediaTooSlow(10) = REQUEST_TIMEOUT "media.too_slow",
        "上传过慢：停顿累计超过 {limit} 秒，请从断点继续", "The upload paused for {limit} seconds or was too slow; go on from where it stopped";
    MediaNoBytes = CONFLICT "media.no_bytes",
        "尚未收到文件内容，请先上传", "No bytes came yet; send them first";
    MediaRefused = UNPROCESSABLE_ENTITY "media.refused",
        "文件与申请时的说明不符，已删除，请重新上传", "The bytes are not what was announced and are deleted; upload them again";
    MediaRange = RANGE_NOT_SATISFIABLE "media.range",
        "Range 超出文件末尾", "Range begins behind the end";
    MediaNotForm = UNSUPPORTED_MEDIA_TYPE "media.not_a_form",
        "请求体须为 multipart/form-data", "The body must be multipart/form-data";
    MediaStoreAway = SERVICE_UNAVAILABLE "media.store_away",
        "媒体存储暂时不可用，请稍后重试", "The media store is unavailable; try again later";
    Unavailable = SERVICE_UNAVAILABLE "server.unavailable",
        "服务暂时不可用，请在 Retry-After 所示秒数后重试", "The service is unavailable; retry after the seconds in Retry-After";
    ReadOnly = SERVICE_UNAVAILABLE "server.read_only",
        "服务暂时只能查看，无法保存更改，请在 Retry-After 所示秒数后重试", "The service is read-only for the moment and cannot save changes; retry after the seconds in Retry-After";
    Internal = INTERNAL_SERVER_ERROR "server.internal",
        "服务器内部错误，请稍后重试；反馈时请附上 request_id", "Internal server error; try again later, and quote request_id when you report it";
    // Accounts and operators, second part.
    OperatorCodeRefused = UNAUTHORIZED "operator.code_refused",
        "两步验证码缺失、不正确或已使用，请输入验证器应用中的当前验证码", "The code of the second factor is missing, wrong or used; enter the present one of the authenticator app";
    AccountClosed = CONFLICT "account.closed",
        "该账号已注销，不能再向其钱包入账，请线下处理", "This account is closed and its wallet no longer changes; settle it outside of the service";
    AccountOpenWork = CONFLICT "account.open_work",
        "账号仍有未结事项（进行中的咨询、余额、会费、未完成的充值或退回，或所创建的团队、诊所），请先处理", "The account still has a running consult, a balance, a fee, an open top-up, balance on its way back, or a team or clinic of its own; settle them first";
    ChatGone = NOT_FOUND "chat.not_found",
        "没有这个私信，请刷新私信列表", "You have no such chat; reload the list";
    // Consults: the desk.
    ConsultClaimed = CONFLICT "consult.claimed",
        "该咨询已有医生接诊，请刷新列表", "Another doctor has this consult already; reload the list";
    ConsultNoClaims = FORBIDDEN "consult.no_claims",
        "该团队的咨询由群助手分配，医生不能自行接诊", "In this team the assistant assigns consults; doctors do not claim them";
    TargetRefuses = FORBIDDEN "consult.target_refuses",
        "该家人不同意由您再为其发起咨询", "This relative refuses further consults that you open about them";
    ConsultOpenerNotFound = NOT_FOUND "consult.opener_not_found",
        "该用户没有把您列为家人，也没有为您发起过咨询", "This user neither has you in their family nor opened a consult about you";
    // Consults: the clock, ratings, further questions.
    ConsultAccepted = CONFLICT "consult.accepted",
        "医生已接诊，该团队的咨询此后不能由患者取消，请联系群助手", "A doctor has accepted it, and patients of this team cannot cancel from then on; ask the assistant";
    ConsultNotFinished = CONFLICT "consult.not_finished",
        "咨询尚未完成，完成后才能执行此操作", "The consult is not finished; this is possible afterwards";
    RatingSettled(7) = CONFLICT "consult.rating_settled",
        "评价已超过 {limit} 天，不能再修改", "The rating is older than {limit} days and can no longer change";
    FollowUpOver = CONFLICT "consult.follow_up_over",
        "该团队不提供免费追问，或追问期限已过，请发起新的咨询", "The team offers no further questions, or their time is over; begin a new consult";
    FollowUpOpen = CONFLICT "consult.follow_up_open",
        "该咨询已有一个进行中的追问，请在其中继续提问", "Further questions about this consult are open already; ask them there";
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

"""A clinic, a team, a consult and its payment through the Python client that openapi-python-client generates.

HUIZHEN_URL names the service, HUIZHEN_PHONES what answers `GET /<phone>` with the last SMS code.
"""

import os
import urllib.request
from http import HTTPStatus
from typing import TypeVar

from huizhen_client import AuthenticatedClient, Client
from huizhen_client.api.account import register_account, send_sms_code
from huizhen_client.api.chat import list_chats, open_chat
from huizhen_client.api.clinic import create_clinic, create_clinic_invitation, find_clinic, join_clinic
from huizhen_client.api.consult import (
    add_consult_doctor,
    create_consult,
    finish_consult,
    get_consult,
    list_consult_history,
    list_consult_messages,
)
from huizhen_client.api.invitation import accept_invitation, list_invitations
from huizhen_client.api.team import (
    create_team,
    invite_team_doctor_by_phone,
    list_team_doctors,
    log_in_team_assistant,
)
from huizhen_client.api.vas import confirm_vas, propose_vas
from huizhen_client.api.wallet import get_top_up_order, get_wallet, list_consumption, top_up_wallet
from huizhen_client.models import (
    AskForCode,
    AssistantLogIn,
    BeginConsult,
    BeginConsultSymptomType,
    BringIn,
    ConsultStatus,
    ConsumptionKind,
    EntryItem,
    EntryItemKind,
    Failure,
    FailureError,
    InviteByPhone,
    JoinByLink,
    NewClinic,
    NewTeam,
    NewTeamInvitation,
    NewTopUp,
    OpenChat,
    PaymentScene,
    Platform,
    ProposeVas,
    Provider,
    Register,
    RegisteredRole,
    TopUpOrderState,
    VasState,
)
from huizhen_client.types import Unset

URL = os.environ["HUIZHEN_URL"]
PHONES = os.environ["HUIZHEN_PHONES"]

T = TypeVar("T")


def got(answer: T | Failure | None) -> T:
    """The answer of a request that must succeed."""
    if answer is None or isinstance(answer, Failure):
        raise AssertionError(answer)
    return answer


def refused(answer: object) -> FailureError:
    """The word of a request that must be refused."""
    assert isinstance(answer, Failure), answer
    assert answer.message and answer.request_id
    return answer.error


class Person:
    """Somebody who is logged in."""

    def __init__(self, user_id: int, access_token: str) -> None:
        self.user_id = user_id
        self.client = AuthenticatedClient(
            base_url=URL, token=access_token, prefix="", auth_header_name="X-AUTH-TOKEN"
        )


def sign_up(phone: str, name: str, role: RegisteredRole) -> Person:
    anybody = Client(base_url=URL)
    got(send_sms_code.sync(client=anybody, body=AskForCode(phone=phone)))
    with urllib.request.urlopen(PHONES + phone, timeout=60) as answer:
        code = answer.read().decode()
    register = Register(
        phone=phone, code=code, name=name, role=role, device_id="phone-1", platform=Platform.ANDROID
    )
    login = got(register_account.sync(client=anybody, body=register)).result
    return Person(login.user_id, login.access_token)


def found_clinic(founder: Person, doctor: Person) -> None:
    clinic = got(
        create_clinic.sync(client=founder.client, body=NewClinic(name="仁爱诊所", introduction="儿科"))
    ).result
    found = got(find_clinic.sync(client=doctor.client, name="仁爱诊所")).result
    assert found.clinic_id == clinic.clinic_id
    invitation = got(
        create_clinic_invitation.sync(clinic.clinic_id, client=founder.client, body=NewTeamInvitation())
    ).result
    joined = got(join_clinic.sync(client=doctor.client, body=JoinByLink(invitation=invitation.link))).result
    assert joined.clinic_id == clinic.clinic_id


def make_team(owner: Person, doctor: Person, phone: str) -> int:
    new = NewTeam(
        name="仁爱儿科", introduction="两位医生", agreement="会员加入协议", membership_fee_fen=0, consult_price_fen=0
    )
    team_id = got(create_team.sync(client=owner.client, body=new)).result.team_id
    got(invite_team_doctor_by_phone.sync(team_id, client=owner.client, body=InviteByPhone(phone=phone)))
    (invitation,) = got(list_invitations.sync(client=doctor.client)).result
    assert invitation.name == "仁爱儿科" and invitation.inviter_id == owner.user_id
    got(accept_invitation.sync(invitation.invitation_id, client=doctor.client))
    doctors = got(list_team_doctors.sync(team_id, client=owner.client, count=True))
    assert doctors.total == 2 and not doctors.has_more
    assert doctors.result[0].photo_id is None
    return team_id


def begin_consult(patient: Person, team_id: int) -> int:
    begin = BeginConsult(
        creator_member_id=patient.user_id,
        target_member_id=patient.user_id,
        team_id=team_id,
        symptom_content="发热一天，38.5 度",
        symptom_type=BeginConsultSymptomType.TEXTPLAIN,
    )
    first = create_consult.sync_detailed(client=patient.client, body=begin, idempotency_key="consult-1")
    again = create_consult.sync_detailed(client=patient.client, body=begin, idempotency_key="consult-1")
    assert again.headers["Idempotent-Replayed"] == "true"
    consult = got(first.parsed).result
    assert got(again.parsed).result.consultation_id == consult.consultation_id
    assert consult.status == ConsultStatus.WAITING and isinstance(consult.staff_conversation_id, Unset)
    return consult.consultation_id


def bring_in(owner: Person, doctor: Person, team_id: int, consult_id: int) -> None:
    desk = AssistantLogIn(device_id="desk-1", platform=Platform.DESKTOP)
    login = got(log_in_team_assistant.sync(team_id, client=owner.client, body=desk)).result
    assistant = Person(login.user_id, login.access_token)
    brought = add_consult_doctor.sync(
        consult_id, client=assistant.client, body=BringIn(doctor_id=doctor.user_id)
    )
    consult = got(brought).result
    assert consult.status == ConsultStatus.IN_PROCESS and consult.doctor_ids == [doctor.user_id]


def top_up(patient: Person, amount_fen: int) -> None:
    """Pays an order on mockpay's page."""
    new = NewTopUp(amount_fen=amount_fen, provider=Provider.MOCKPAY, scene=PaymentScene.APP)
    order = got(top_up_wallet.sync(client=patient.client, body=new, idempotency_key="top-up-1")).result
    assert order.state == TopUpOrderState.OPEN and not isinstance(order.ticket, Unset)
    with urllib.request.urlopen(f"{URL}{order.ticket['page']}/pay", data=b"", timeout=60) as page:
        assert page.status == HTTPStatus.OK
    paid = got(get_top_up_order.sync(order.order_id, client=patient.client)).result
    assert paid.state == TopUpOrderState.PAID and not isinstance(paid.paid_ms, Unset)
    assert got(get_wallet.sync(client=patient.client)).result.balance_fen == amount_fen


def records(patient: Person, consult_id: int) -> list[EntryItem]:
    """The journal of a consult, page by page."""
    page = got(list_consult_messages.sync(consult_id, client=patient.client, limit=2))
    entries = page.result
    while page.has_more:
        page = got(
            list_consult_messages.sync(consult_id, client=patient.client, limit=2, cursor=page.next_cursor)
        )
        entries += page.result
    return entries


def main() -> None:
    owner = sign_up("+8613911110001", "王医生", RegisteredRole.DOCTOR)
    doctor = sign_up("+8613911110002", "陈医生", RegisteredRole.DOCTOR)
    patient = sign_up("+8613911110003", "张女士", RegisteredRole.MEMBER)
    found_clinic(owner, doctor)
    team_id = make_team(owner, doctor, "+8613911110002")
    consult_id = begin_consult(patient, team_id)
    bring_in(owner, doctor, team_id, consult_id)

    proposal = ProposeVas(name="视频复诊", description="三天后，十五分钟", price_fen=9900)
    vas = got(propose_vas.sync(consult_id, client=doctor.client, body=proposal)).result
    assert vas.state == VasState.PROPOSED and isinstance(vas.decided_ms, Unset)
    poor = confirm_vas.sync(vas.vas_id, client=patient.client)
    assert refused(poor) == FailureError.WALLET_INSUFFICIENT
    top_up(patient, 20000)
    assert got(confirm_vas.sync(vas.vas_id, client=patient.client)).result.state == VasState.CONFIRMED
    wallet = got(get_wallet.sync(client=patient.client)).result
    assert (wallet.balance_fen, wallet.total_consumed_fen) == (10100, 9900)
    charge = got(list_consumption.sync(client=patient.client, limit=1)).result[0]
    assert charge.kind == ConsumptionKind.VAS and charge.vas_id == vas.vas_id

    got(finish_consult.sync(consult_id, client=doctor.client))
    (past,) = got(list_consult_history.sync(client=patient.client)).result
    assert past.status == ConsultStatus.FINISHED

    entries = records(patient, consult_id)
    assert [entry.seq for entry in entries] == list(range(len(entries), 0, -1))
    (confirmed,) = [entry for entry in entries if entry.kind == EntryItemKind.VAS_CONFIRMED]
    assert not isinstance(confirmed.vas, Unset) and confirmed.vas.price_fen == 9900

    chat = got(open_chat.sync(client=owner.client, body=OpenChat(user_id=doctor.user_id))).result
    (listed,) = got(list_chats.sync(client=doctor.client)).result
    assert listed.conversation_id == chat.conversation_id and listed.name == "王医生"

    nobody = AuthenticatedClient(base_url=URL, token="x", prefix="", auth_header_name="X-AUTH-TOKEN")
    unknown = get_consult.sync_detailed(consult_id, client=nobody)
    assert unknown.status_code == HTTPStatus.UNAUTHORIZED
    assert refused(unknown.parsed) == FailureError.AUTH_REQUIRED
    again = confirm_vas.sync(2**53 - 1, client=patient.client)
    assert refused(again) == FailureError.VAS_NOT_FOUND
    other = NewClinic(name=" ", introduction="")
    wrong = create_clinic.sync(client=owner.client, body=other)
    assert isinstance(wrong, Failure) and wrong.error == FailureError.REQUEST_INVALID and wrong.field == "name"
    print("tour of the Python client: passed")


if __name__ == "__main__":
    main()

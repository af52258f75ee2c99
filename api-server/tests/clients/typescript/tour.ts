// A clinic, a team, a consult and its payment through the TypeScript client: types by openapi-typescript, requests by openapi-fetch.
//
// HUIZHEN_URL names the service, HUIZHEN_PHONES what answers `GET /<phone>` with the last SMS code.
import assert from "node:assert/strict";

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./api.js";

type Schemas = components["schemas"];
type Failure = Schemas["Failure"];
type Entry = Schemas["EntryItem"];

interface Person {
  id: number;
  api: Client<paths>;
}

function setting(name: string): string {
  const value = process.env[name];
  assert(value !== undefined, `${name} is not set`);
  return value;
}

const baseUrl = setting("HUIZHEN_URL");
const phones = setting("HUIZHEN_PHONES");

function clientOf(token?: string): Client<paths> {
  return createClient<paths>({ baseUrl, headers: token === undefined ? {} : { "X-AUTH-TOKEN": token } });
}

/** The answer of a request that must succeed. */
async function got<T>(sent: Promise<{ data?: T; error?: Failure }>): Promise<T> {
  const { data, error } = await sent;
  assert(data !== undefined, JSON.stringify(error));
  return data;
}

/** The refusal of a request that must be refused. */
async function refused(sent: Promise<{ error?: Failure; response: Response }>): Promise<Failure> {
  const { error, response } = await sent;
  assert(error !== undefined && !error.success);
  assert.equal(error.code, response.status);
  assert.equal(error.request_id, response.headers.get("X-Request-Id"));
  return error;
}

async function signUp(phone: string, name: string, role: Schemas["RegisteredRole"]): Promise<Person> {
  const anybody = clientOf();
  await got(anybody.POST("/account/code", { body: { phone } }));
  const code = await (await fetch(phones + phone)).text();
  const body: Schemas["Register"] = { phone, code, name, role, device_id: "phone-1", platform: "harmony" };
  const { result } = await got(anybody.POST("/account/register", { body }));
  return { id: result.user_id, api: clientOf(result.access_token) };
}

async function foundClinic(founder: Person, doctor: Person): Promise<void> {
  const body = { name: "仁和诊所", introduction: "儿科" };
  const { result: clinic } = await got(founder.api.POST("/clinic", { body }));
  const found = await got(doctor.api.GET("/clinic", { params: { query: { name: "仁和诊所" } } }));
  assert.equal(found.result.clinic_id, clinic.clinic_id);
  const path = { id: clinic.clinic_id };
  const invitation = await got(founder.api.POST("/clinic/{id}/invitation", { params: { path }, body: {} }));
  const joined = await got(doctor.api.POST("/clinic/join", { body: { invitation: invitation.result.link } }));
  assert.equal(joined.result.clinic_id, clinic.clinic_id);
}

async function makeTeam(owner: Person, doctor: Person, phone: string): Promise<number> {
  const body: Schemas["NewTeam"] = {
    name: "仁和儿科",
    introduction: "两位医生",
    agreement: "会员加入协议",
    membership_fee_fen: 0,
    consult_price_fen: 0,
  };
  const id = (await got(owner.api.POST("/team", { body }))).result.team_id;
  await got(owner.api.POST("/team/{id}/phone_invitation", { params: { path: { id } }, body: { phone } }));
  const [invitation] = (await got(doctor.api.GET("/invitation_list"))).result;
  assert(invitation?.place === "team" && invitation.inviter_id === owner.id);
  await got(doctor.api.POST("/invitation/{id}/accept", { params: { path: { id: invitation.invitation_id } } }));
  const query = { count: true };
  const doctors = await got(owner.api.GET("/team/{id}/doctor_list", { params: { path: { id }, query } }));
  assert(doctors.total === 2 && !doctors.has_more && doctors.next_cursor === undefined);
  assert.equal(doctors.result[0]?.photo_id, null);
  return id;
}

async function beginConsult(patient: Person, teamId: number): Promise<number> {
  const body: Schemas["BeginConsult"] = {
    creator_member_id: patient.id,
    target_member_id: patient.id,
    team_id: teamId,
    symptom_content: "发热一天，38.5 度",
    symptom_type: "text/plain",
    images: [],
  };
  const params = { header: { "Idempotency-Key": "consult-1" } };
  const first = await got(patient.api.POST("/consult", { params, body }));
  const again = await patient.api.POST("/consult", { params, body });
  assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");
  assert.equal(again.data?.result.consultation_id, first.result.consultation_id);
  assert(first.result.status === "waiting" && first.result.staff_conversation_id === undefined);
  return first.result.consultation_id;
}

async function bringIn(owner: Person, doctor: Person, teamId: number, id: number): Promise<void> {
  const body = { device_id: "desk-1", platform: "desktop" } as const;
  const params = { path: { id: teamId } };
  const { result } = await got(owner.api.POST("/team/{id}/assistant/login", { params, body }));
  const assistant = clientOf(result.access_token);
  const brought = { params: { path: { id } }, body: { doctor_id: doctor.id } };
  const consult = await got(assistant.POST("/consult/{id}/doctor", brought));
  assert(consult.result.status === "in_process");
  assert.deepEqual(consult.result.doctor_ids, [doctor.id]);
}

/** Pays an order on mockpay's page. */
async function topUp(patient: Person, amount: number): Promise<void> {
  const body = { amount_fen: amount, provider: "mockpay", scene: "app" } as const;
  const params = { header: { "Idempotency-Key": "top-up-1" } };
  const { result: order } = await got(patient.api.POST("/wallet/top_up", { params, body }));
  assert(order.state === "open" && order.ticket !== undefined);
  const page = String((order.ticket as Record<string, unknown>)["page"]);
  assert((await fetch(`${baseUrl}${page}/pay`, { method: "POST" })).ok);
  const paid = await got(patient.api.GET("/wallet/order/{id}", { params: { path: { id: order.order_id } } }));
  assert(paid.result.state === "paid" && paid.result.paid_ms !== undefined);
  assert.equal((await got(patient.api.GET("/wallet"))).result.balance_fen, amount);
}

/** The journal of a consult, page by page. */
async function records(patient: Person, id: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? { limit: 2 } : { limit: 2, cursor };
    const page = await got(patient.api.GET("/consult/{id}/messages", { params: { path: { id }, query } }));
    entries.push(...page.result);
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return entries;
}

async function refusals(owner: Person, patient: Person, consultId: number): Promise<void> {
  const path = { id: consultId };
  const unknown = await refused(clientOf("x").GET("/consult/{id}", { params: { path } }));
  assert(unknown.error === "auth.required" && unknown.code === 401);
  const team = { name: "x", introduction: "", agreement: "", membership_fee_fen: 0, consult_price_fen: 0 };
  assert.equal((await refused(patient.api.POST("/team", { body: team }))).error, "team.doctors_only");
  const wrong = await refused(owner.api.POST("/clinic", { body: { name: " ", introduction: "" } }));
  assert(wrong.error === "request.invalid" && wrong.field === "name");
}

const owner = await signUp("+8613922220001", "王医生", "doctor");
const doctor = await signUp("+8613922220002", "陈医生", "doctor");
const patient = await signUp("+8613922220003", "张女士", "member");
await foundClinic(owner, doctor);
const teamId = await makeTeam(owner, doctor, "+8613922220002");
const id = await beginConsult(patient, teamId);
await bringIn(owner, doctor, teamId, id);

const proposal = { name: "视频复诊", description: "三天后，十五分钟", price_fen: 9900 };
const vas = await got(doctor.api.POST("/consult/{id}/vas", { params: { path: { id } }, body: proposal }));
assert(vas.result.state === "proposed" && vas.result.decided_ms === undefined);
const poor = await refused(patient.api.POST("/vas/{id}/confirm", { params: { path: { id: vas.result.vas_id } } }));
assert(poor.error === "wallet.insufficient" && poor.code === 402);
await topUp(patient, 20000);
const confirmed = await got(patient.api.POST("/vas/{id}/confirm", { params: { path: { id: vas.result.vas_id } } }));
assert.equal(confirmed.result.state, "confirmed");
const { result: wallet } = await got(patient.api.GET("/wallet"));
assert.deepEqual(wallet, { balance_fen: 10100, total_consumed_fen: 9900 });
const query = { limit: 1 };
const [charge] = (await got(patient.api.GET("/member/consumption_list", { params: { query } }))).result;
assert(charge?.kind === "vas" && charge.vas_id === vas.result.vas_id);

await got(doctor.api.POST("/consult/{id}/finish", { params: { path: { id } } }));
const [past] = (await got(patient.api.GET("/consult/history_list"))).result;
assert.equal(past?.status, "finished");

const entries = await records(patient, id);
assert.deepEqual(entries.map((entry) => entry.seq), entries.map((_, at) => entries.length - at));
assert.equal(entries.find((entry) => entry.kind === "vas_confirmed")?.vas?.price_fen, 9900);

const chat = await got(owner.api.POST("/chat", { body: { user_id: doctor.id } }));
const [listed] = (await got(doctor.api.GET("/chat_list"))).result;
assert(listed?.conversation_id === chat.result.conversation_id && listed.name === "王医生");

await refusals(owner, patient, id);
console.log("tour of the TypeScript client: passed");

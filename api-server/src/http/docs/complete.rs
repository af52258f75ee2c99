//! Adds to every operation the rules that all share: ids in paths, security, common refusals and their schema.

use serde_json::Value;
use utoipa::{
    PartialSchema,
    openapi::{
        ContentBuilder, Header, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
        path::{Operation, Parameter, ParameterIn},
        schema::{ObjectBuilder, SchemaType, Type},
    },
};

use super::{absent, answers, share};
use crate::http::input::Id;

/// Returns the document as it is served.
pub(crate) fn complete(mut document: OpenApi) -> Value {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation);
        }
    }
    // A document that cannot be serialized is null, which fails a test.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    answers::add(&mut document);
    absent::absent_is_not_null(&mut document);
    share::share(&mut document);
    document
}

/// Operations whose body may be left out, as apps of earlier releases do.
const OPTIONAL_BODIES: &[&str] = &["finishConsult"];

fn complete_operation(operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && OPTIONAL_BODIES.contains(&id)
    {
        body.required = Some(Required::False);
    }
    bound_ids(operation);
    let is_keyed = has_parameter(operation, |parameter| parameter.name == "Idempotency-Key");
    add_refusals(operation, is_keyed);
    // Tells generators that no token is needed.
    operation.security.get_or_insert_default();
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.as_str() >= "400" {
            refusal(status, response);
        } else if is_keyed {
            let replayed =
                "`true` when it repeats the answer to an earlier request with this Idempotency-Key.";
            add_header(response, "Idempotent-Replayed", super::one_of(["true"]), replayed);
        }
    }
}

fn has_parameter(operation: &Operation, is_it: impl Fn(&Parameter) -> bool) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if is_it(parameter)))
}

fn is_required(parameter: &Parameter) -> bool {
    matches!(parameter.required, Required::True)
}

/// A number in a path is read by [`crate::http::input::PathId`]: it is an [`Id`].
fn bound_ids(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let is_number = matches!(
            &parameter.schema,
            Some(RefOr::T(Schema::Object(object))) if object.schema_type == SchemaType::Type(Type::Integer)
        );
        if is_number && parameter.parameter_in == ParameterIn::Path {
            parameter.schema = Some(Id::schema());
        }
    }
}

fn add_refusals(operation: &mut Operation, is_keyed: bool) {
    let mut refusals = vec![
        ("429", "`request.rate_limited`"),
        ("500", "`server.internal`"),
        ("503", "`server.unavailable`, `server.read_only`"),
    ];
    if operation.security.is_some() {
        refusals.push(("401", "`auth.required`"));
    }
    // A write without fields may have a body.
    if operation.request_body.is_some() || is_keyed {
        refusals.push(("400", "`request.invalid`, `request.bad_json`"));
        refusals.push(("408", "`request.body_timeout`"));
        refusals.push(("413", "`request.body_too_large`"));
        refusals.push(("415", "`request.not_json`"));
    } else {
        // Every route refuses a malformed query.
        refusals.push(("400", "`request.invalid`"));
    }
    let demands_key = |parameter: &Parameter| parameter.name == "Idempotency-Key" && is_required(parameter);
    if has_parameter(operation, demands_key) {
        refusals.push(("400", "`idempotency.key_required`"));
    }
    if is_keyed {
        refusals.push(("409", "`idempotency.running`"));
        refusals.push(("422", "`idempotency.key_reused`"));
    }
    for (status, words) in refusals {
        let response = operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(ResponseBuilder::new().build()));
        if let RefOr::T(response) = response {
            let known = std::mem::take(&mut response.description);
            response.description = if known.is_empty() {
                words.to_owned()
            } else {
                format!("{known}, {words}")
            };
        }
    }
}

/// The form of every refusal.
fn refusal(status: &str, response: &mut Response) {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Failure")))
        .build();
    response
        .content
        .insert("application/json".to_owned(), content.into());
    if ["429", "503"].contains(&status) {
        let seconds = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .into();
        add_header(response, "Retry-After", seconds, "Seconds after which to retry.");
    }
}

fn add_header(response: &mut Response, name: &str, schema: RefOr<Schema>, description: &str) {
    let mut header = Header::new(schema);
    header.description = Some(description.to_owned());
    response.headers.insert(name.to_owned(), header.into());
}

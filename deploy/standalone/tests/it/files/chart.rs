//! The Helm chart, rendered as far as its templates go: conditions, values, and what is required.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use yaml_rust2::{Yaml, YamlLoader};

use super::{files, read, root};

/// Values by their paths, with some of them set.
fn with(set: &[(&str, &str)]) -> BTreeMap<String, String> {
    let loaded = YamlLoader::load_from_str(&read("deploy/kubernetes/huizhen/values.yaml")).unwrap();
    let mut found = Vec::new();
    values(&loaded[0], "", &mut found);
    let mut found: BTreeMap<String, String> = found.into_iter().collect();
    for (path, value) in set {
        assert!(
            found.insert((*path).to_owned(), (*value).to_owned()).is_some(),
            "{path}"
        );
    }
    found
}

fn path(action: &str) -> &str {
    let named = action
        .split_whitespace()
        .find_map(|word| word.strip_prefix(".Values."));
    named.unwrap_or_else(|| panic!("no value in {action}"))
}

fn holds(action: &str, values: &BTreeMap<String, String>) -> bool {
    let paths = action
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(".Values."));
    let mut set = paths.map(|path| !matches!(values[path].as_str(), "" | "false" | "0"));
    let is_one = action.trim_start_matches("if ").starts_with("or ");
    let is_set = if is_one {
        set.any(|is| is)
    } else {
        set.all(|is| is)
    };
    is_set != action.split_whitespace().any(|word| word == "not")
}

/// One line without its actions.
fn line(mut text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut put = String::new();
    while let Some((before, rest)) = text.split_once("{{") {
        let (action, after) = rest.split_once("}}").expect("an action ends on its line");
        let value = &values[path(action)];
        if value.is_empty() && action.trim().starts_with("required ") {
            return Err(action.split('"').nth(1).unwrap().to_owned());
        }
        put.push_str(before);
        put.push_str(value);
        text = after;
    }
    Ok(put + text)
}

/// Everything that the chart makes; what `required` says when a value is missing.
fn render(set: &[(&str, &str)]) -> Result<BTreeMap<String, Yaml>, String> {
    let values = with(set);
    let mut made = BTreeMap::new();
    for file in files(&root().join("deploy/kubernetes/huizhen/templates"), &[".yaml"]) {
        let (mut rendered, mut conditions) = (String::new(), Vec::new());
        for text in fs::read_to_string(&file).unwrap().lines() {
            let action = text
                .trim()
                .trim_start_matches("{{-")
                .trim_end_matches("}}")
                .trim();
            if action.starts_with("if ") {
                conditions.push(holds(action, &values));
            } else if action == "end" {
                conditions.pop().expect("an if before its end");
            } else if conditions.iter().all(|holds| *holds) {
                rendered += &line(text, &values)?;
                rendered.push('\n');
            }
        }
        for document in
            YamlLoader::load_from_str(&rendered).unwrap_or_else(|error| panic!("{error}\n{rendered}"))
        {
            let kind = document["kind"].as_str().unwrap();
            let name = document["metadata"]["name"].as_str().unwrap();
            made.insert(format!("{kind} {name}"), document);
        }
    }
    Ok(made)
}

fn pod(made: &BTreeMap<String, Yaml>, name: &str) -> Yaml {
    made[&format!("Deployment {name}")]["spec"]["template"]["spec"].clone()
}

fn strings(list: &Yaml) -> Vec<String> {
    let list = list.as_vec().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Yaml::as_str).map(str::to_owned).collect()
}

fn ports(list: &Yaml, key: &str) -> BTreeMap<String, i64> {
    let list = list.as_vec().map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|port| Some((port["name"].as_str()?.to_owned(), port[key].as_i64()?)))
        .collect()
}

const LOG: (&str, &str) = ("apiServer.smsProvider", "log");

#[test]
fn the_chart_is_not_rendered_until_it_is_said_how_codes_are_sent() {
    let why = render(&[]).unwrap_err();
    assert!(why.contains("webhook with apiServer.smsWebhookUrl"), "{why}");
    let made = render(&[
        ("apiServer.smsProvider", "webhook"),
        ("apiServer.smsWebhookUrl", "https://sms.example.com"),
    ])
    .unwrap();
    let arguments = strings(&pod(&made, "huizhen-api")["containers"][0]["args"]);
    assert!(
        arguments.contains(&"--sms-provider=webhook".to_owned()),
        "{arguments:?}"
    );
    assert!(arguments.contains(&"--sms-webhook-url=https://sms.example.com".to_owned()));
    assert!(render(&[LOG]).is_ok());
}

#[test]
fn a_secret_switches_tls_on_in_both_servers() {
    let plain = render(&[LOG]).unwrap();
    for name in ["huizhen-api", "huizhen-im"] {
        let pod = pod(&plain, name);
        assert!(pod["volumes"].is_badvalue() && pod["containers"][0]["volumeMounts"].is_badvalue());
        let arguments = strings(&pod["containers"][0]["args"]);
        assert!(
            !arguments.iter().any(|argument| argument.contains("tls")),
            "{arguments:?}"
        );
    }
    let advertised = ("imServer.advertise", "im.example.com:9501");
    for address in [None, Some(advertised)] {
        let mut set = vec![
            LOG,
            ("tls.secretName", "certificate"),
            ("imServer.tlsPort", "19503"),
        ];
        set.extend(address);
        let made = render(&set).unwrap();
        for (name, listens) in [
            ("huizhen-api", "--rest-tls-addr=0.0.0.0:8443"),
            ("huizhen-im", "--tls-addr=0.0.0.0:19503"),
        ] {
            let pod = pod(&made, name);
            let arguments = strings(&pod["containers"][0]["args"]);
            for argument in [
                listens,
                "--tls-cert=/etc/huizhen/tls/tls.crt",
                "--tls-key=/etc/huizhen/tls/tls.key",
            ] {
                assert!(
                    arguments.contains(&argument.to_owned()),
                    "{argument}: {arguments:?}"
                );
            }
            let volume = &pod["volumes"][0];
            assert_eq!(volume["secret"]["secretName"].as_str(), Some("certificate"));
            // The group is that of the user that the program runs as.
            assert_eq!(volume["secret"]["defaultMode"].as_i64(), Some(0o440));
            assert_eq!(pod["securityContext"]["fsGroup"].as_i64(), Some(10_001));
            let mount = &pod["containers"][0]["volumeMounts"][0];
            assert_eq!(mount["mountPath"].as_str(), Some("/etc/huizhen/tls"));
            assert_eq!(mount["readOnly"].as_bool(), Some(true));
            assert_eq!(
                (mount["name"].as_str(), volume["name"].as_str()),
                (Some("tls"), Some("tls"))
            );
        }
        // The announced port is the one that apps reach.
        let container = pod(&made, "huizhen-im")["containers"][0]["ports"].clone();
        assert_eq!(ports(&container, "containerPort")["tls"], 19_503);
        if address.is_some() {
            let service = &made["Service huizhen-im"]["spec"]["ports"];
            assert_eq!(ports(service, "port")["tls"], 19_503);
        } else {
            assert_eq!(ports(&container, "hostPort")["tls"], 19_503);
        }
        let service = &made["Service huizhen-api"]["spec"]["ports"];
        assert_eq!(ports(service, "port")["rest-tls"], 443);
        let open = &made["NetworkPolicy huizhen"]["spec"]["ingress"][0]["ports"];
        let open: Vec<i64> = open
            .as_vec()
            .unwrap()
            .iter()
            .filter_map(|it| it["port"].as_i64())
            .collect();
        assert_eq!(open, [8080, 8443, 9501, 9502, 19_503]);
    }
}

#[test]
fn media_get_their_bucket_and_its_key() {
    let set = [
        LOG,
        ("media.store", "s3://clinic-media/a"),
        ("media.secretName", "bucket"),
    ];
    let made = render(&set).unwrap();
    for name in ["huizhen-api", "huizhen-im"] {
        let arguments = strings(&pod(&made, name)["containers"][0]["args"]);
        let store = "--media-store=s3://clinic-media/a".to_owned();
        assert!(arguments.contains(&store), "{arguments:?}");
        let key = "--media-config=/etc/huizhen/media/s3.toml".to_owned();
        assert_eq!(arguments.contains(&key), name == "huizhen-api", "{arguments:?}");
    }
    let pod = pod(&made, "huizhen-api");
    assert_eq!(pod["volumes"][0]["secret"]["secretName"].as_str(), Some("bucket"));
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"].as_i64(), Some(0o440));
    let mount = &pod["containers"][0]["volumeMounts"][0];
    assert_eq!(mount["mountPath"].as_str(), Some("/etc/huizhen/media"));
    assert_eq!(pod["securityContext"]["fsGroup"].as_i64(), Some(10_001));
}

#[test]
fn payment_providers_get_their_secret_with_and_without_tls() {
    let secret = ("apiServer.paymentSecret", "merchants");
    let providers = ("apiServer.paymentProviders", "wechat,alipay");
    for set in [
        &[LOG, secret, providers][..],
        &[LOG, secret, providers, ("tls.secretName", "certificate")],
    ] {
        let made = render(set).unwrap();
        let pod = pod(&made, "huizhen-api");
        let arguments = strings(&pod["containers"][0]["args"]);
        for argument in [
            "--payment-providers=wechat,alipay",
            "--wechat-pay-config=/etc/huizhen/payment/wechat-pay.toml",
            "--alipay-config=/etc/huizhen/payment/alipay.toml",
        ] {
            assert!(arguments.contains(&argument.to_owned()), "{arguments:?}");
        }
        let volumes = pod["volumes"].as_vec().unwrap();
        assert_eq!(volumes.len(), set.len() - 2);
        let volume = volumes.last().unwrap();
        assert_eq!(volume["secret"]["secretName"].as_str(), Some("merchants"));
        assert_eq!(volume["secret"]["defaultMode"].as_i64(), Some(0o440));
        assert_eq!(pod["securityContext"]["fsGroup"].as_i64(), Some(10_001));
        let mounts = pod["containers"][0]["volumeMounts"].as_vec().unwrap();
        let mount = mounts.last().unwrap();
        assert_eq!(
            (mount["name"].as_str(), mount["mountPath"].as_str()),
            (Some("payment"), Some("/etc/huizhen/payment"))
        );
    }
    let without = render(&[LOG]).unwrap();
    let arguments = strings(&pod(&without, "huizhen-api")["containers"][0]["args"]);
    assert!(
        !arguments.iter().any(|argument| argument.contains("pay")),
        "{arguments:?}"
    );
}

#[test]
fn the_ingress_serves_rest_with_tls_or_not_at_all() {
    assert!(!render(&[LOG]).unwrap().contains_key("Ingress huizhen-api"));
    let on = ("ingress.enabled", "true");
    let host = ("ingress.host", "api.example.com");
    let why = render(&[LOG, on]).unwrap_err();
    assert!(why.contains("ingress.host"), "{why}");
    let why = render(&[LOG, on, host]).unwrap_err();
    assert!(why.contains("ingress.tlsSecretName"), "{why}");
    let made = render(&[LOG, on, host, ("ingress.tlsSecretName", "api-tls")]).unwrap();
    let ingress = &made["Ingress huizhen-api"]["spec"];
    assert_eq!(ingress["tls"][0]["secretName"].as_str(), Some("api-tls"));
    assert_eq!(ingress["tls"][0]["hosts"][0].as_str(), Some("api.example.com"));
    let rule = &ingress["rules"][0];
    assert_eq!(rule["host"].as_str(), Some("api.example.com"));
    let service = &rule["http"]["paths"][0]["backend"]["service"];
    let name = service["name"].as_str().unwrap();
    let port = service["port"]["name"].as_str().unwrap();
    assert!(ports(&made[&format!("Service {name}")]["spec"]["ports"], "port").contains_key(port));
}

#[test]
fn proxies_and_their_headers_reach_both_servers() {
    let made = render(&[
        LOG,
        ("apiServer.trustedProxies", "10.0.0.0/8"),
        ("apiServer.proxyProtocolPorts", "rest-tls"),
        ("imServer.trustedProxies", "10.1.0.0/16"),
        ("imServer.proxyProtocolPorts", "im,tls"),
    ])
    .unwrap();
    for (name, expected) in [
        (
            "huizhen-api",
            [
                "--trusted-proxies=10.0.0.0/8",
                "--rest-proxy-protocol-ports=rest-tls",
            ],
        ),
        (
            "huizhen-im",
            ["--trusted-proxies=10.1.0.0/16", "--proxy-protocol-ports=im,tls"],
        ),
    ] {
        let arguments = strings(&pod(&made, name)["containers"][0]["args"]);
        for argument in expected {
            assert!(
                arguments.contains(&argument.to_owned()),
                "{argument}: {arguments:?}"
            );
        }
        assert!(!arguments.contains(&"--proxy-protocol".to_owned()));
    }
}

/// Every scalar of values.yaml with its path.
fn values(of: &Yaml, path: &str, found: &mut Vec<(String, String)>) {
    match of {
        Yaml::Hash(children) => {
            for (name, child) in children {
                let name = name.as_str().unwrap();
                let path = if path.is_empty() {
                    name.to_owned()
                } else {
                    format!("{path}.{name}")
                };
                values(child, &path, found);
            }
        }
        Yaml::String(text) | Yaml::Real(text) => found.push((path.to_owned(), text.clone())),
        Yaml::Integer(number) => found.push((path.to_owned(), number.to_string())),
        Yaml::Boolean(is) => found.push((path.to_owned(), is.to_string())),
        other => panic!("values.yaml has {other:?} at {path}"),
    }
}

#[test]
fn the_chart_uses_exactly_its_values_and_becomes_yaml() {
    let loaded = YamlLoader::load_from_str(&read("deploy/kubernetes/huizhen/values.yaml")).unwrap();
    let mut known = Vec::new();
    values(&loaded[0], "", &mut known);
    let mut used = BTreeSet::new();
    for file in files(&root().join("deploy/kubernetes/huizhen/templates"), &[".yaml"]) {
        let mut rendered = String::new();
        for line in fs::read_to_string(&file).unwrap().lines() {
            let mut line = line.to_owned();
            while let Some((before, rest)) = line.split_once("{{") {
                let (action, after) = rest.split_once("}}").expect("an action ends on its line");
                let value = action
                    .split_whitespace()
                    .find_map(|word| word.strip_prefix(".Values."))
                    .map(|path| {
                        used.insert(path.to_owned());
                        let value = known.iter().find(|(known, _)| known == path);
                        value
                            .unwrap_or_else(|| panic!("{}: values.yaml has no {path}", file.display()))
                            .1
                            .clone()
                    });
                let is_control = action.trim_start_matches('-').trim_start().starts_with("if ")
                    || action.trim_matches(['-', ' ']) == "end";
                let put = if is_control { String::new() } else { value.unwrap() };
                line = format!("{before}{put}{after}");
            }
            rendered.push_str(&line);
            rendered.push('\n');
        }
        let documents = YamlLoader::load_from_str(&rendered)
            .unwrap_or_else(|error| panic!("{}: {error}\n{rendered}", file.display()));
        for document in documents {
            assert!(document["kind"].as_str().is_some(), "{}", file.display());
        }
    }
    let schema: serde_json::Value =
        serde_json::from_str(&read("deploy/kubernetes/huizhen/values.schema.json")).unwrap();
    for (path, _) in known {
        assert!(
            used.contains(&path),
            "values.yaml has {path}, which no template uses"
        );
        let described = path
            .split('.')
            .fold(&schema, |schema, name| &schema["properties"][name]);
        assert!(
            described.is_object(),
            "values.schema.json refuses {path} of values.yaml"
        );
    }
}

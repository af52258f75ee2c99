use program::{
    listener::{Ports, bind},
    telemetry::LogFormat,
};

#[tokio::test]
async fn an_address_in_use_names_the_flag() {
    let first = bind("--im-addr", "127.0.0.1:0").await.unwrap();
    let address = first.local_addr().unwrap();
    let error = bind("--im-addr", address).await.unwrap_err().to_string();
    assert!(
        error.contains(&address.to_string()) && error.contains("in use") && error.contains("--im-addr"),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_address_of_this_machine_is_refused_with_the_flag() {
    for bad in ["203.0.113.7:9501", "nonsense", "127.0.0.1:99999", ""] {
        let error = format!("{:#}", bind("--rest-addr", bad).await.unwrap_err());
        assert!(error.contains("--rest-addr"), "{bad}: {error}");
    }
}

#[tokio::test]
async fn the_ports_file_appears_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ports.json");
    let im = bind("--im-addr", "127.0.0.1:0").await.unwrap();
    let rest = bind("--rest-addr", "localhost:0").await.unwrap();
    let mut ports = Ports::default();
    ports.add("rest", &rest).unwrap();
    ports.add("im", &im).unwrap();
    ports.announce(Some(&file), LogFormat::Text).unwrap();
    let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(read["im"], im.local_addr().unwrap().to_string());
    assert_eq!(read["rest"], rest.local_addr().unwrap().to_string());
    assert_eq!(read.as_object().unwrap().len(), 2);
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    let error = ports
        .announce(Some(std::path::Path::new("/nowhere/ports.json")), LogFormat::Json)
        .unwrap_err();
    assert!(error.to_string().contains("/nowhere/ports.json"), "{error}");
}

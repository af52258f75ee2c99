use super::{options::DEFAULT_PREFIX, *};

#[test]
fn an_address_says_server_and_prefix() {
    let address = Address::parse("redis://me:ge%40heim@cache.example:7000/2?prefix=a:").unwrap();
    assert_eq!(address.prefix, "a:");
    assert_eq!(address.shown, "cache.example:7000");
    let Way::Server(Source::Server(client)) = &address.way else {
        panic!("it names one server");
    };
    let settings = client.get_connection_info().redis_settings().clone();
    assert_eq!(
        (settings.username(), settings.password()),
        (Some("me"), Some("ge@heim"))
    );
    assert_eq!(settings.db(), 2);
    assert_eq!(Address::parse("redis://h").unwrap().prefix, DEFAULT_PREFIX);
    assert!(Address::parse("rediss://h:1").is_ok());
}

#[test]
fn an_address_names_sentinels_and_their_master() {
    let url = "redis+sentinel://me:ge%40heim@one:1,two,[::1]:3/main/2?prefix=a:&sentinel_password=s%40";
    let address = Address::parse(url).unwrap();
    assert_eq!(address.shown, "one:1,two,[::1]:3/main");
    let Way::Server(Source::Sentinels(set)) = &address.way else {
        panic!("it names sentinels");
    };
    let places: Vec<String> = set
        .sentinels
        .iter()
        .map(|client| client.get_connection_info().addr().to_string())
        .collect();
    assert_eq!(places[..2], ["one:1", "two:26379"]);
    assert_eq!((places.len(), &*set.master_name), (3, "main"));
    let info = set.sentinels[0].get_connection_info();
    assert_eq!(info.redis_settings().password(), Some("s@"));
    let settings = set.master.info.redis_settings();
    assert_eq!(
        (settings.username(), settings.password(), settings.db()),
        (Some("me"), Some("ge@heim"), 2)
    );
    assert!(Address::parse("rediss+sentinel://one,two/main").is_ok());
}

#[test]
fn an_address_names_nodes_of_a_cluster() {
    let address = Address::parse("redis+cluster://me:ge%40heim@one:7000,two,[::1]:3?prefix=a:").unwrap();
    assert_eq!(
        (&*address.shown, &*address.prefix),
        ("one:7000,two,[::1]:3", "a:")
    );
    let Way::Cluster(cluster) = &address.way else {
        panic!("it names a cluster");
    };
    assert_eq!(
        cluster.seeds[..2],
        [("one".to_owned(), 7000), ("two".to_owned(), 6379)]
    );
    assert_eq!(cluster.seeds.len(), 3);
    let settings = cluster.nodes.info.redis_settings();
    assert_eq!(
        (settings.username(), settings.password()),
        (Some("me"), Some("ge@heim"))
    );
    assert!(Address::parse("rediss+cluster://one/0").is_ok());
}

#[test]
fn a_wrong_address_is_told_with_what_to_do() {
    for (url, hint) in [
        ("", "redis://"),
        ("http://h", "redis://"),
        ("redis://h:port", "must look like"),
        ("redis://h/x", "must look like"),
        ("redis://h?prefix=a b", "letters"),
        ("redis://h?nonsense=1", "prefix=TEXT"),
        ("redis://h?ca_cert=x", "rediss://"),
        ("redis://h?sentinel_password=x", "redis+sentinel://"),
        ("redis+sentinel://one,two", "master-name"),
        ("redis+sentinel://one,,two/main", "master-name"),
        ("redis+sentinel://one:port/main", "must look like"),
        ("redis+sentinel://one/main/x", "must look like"),
        ("redis+cluster://one,,two", "some nodes"),
        ("redis+cluster://", "some nodes"),
        ("redis+cluster://one/1", "database 0"),
        ("redis+cluster://one:port", "must look like"),
        ("redis+cluster://one?sentinel_password=x", "redis+sentinel://"),
        ("redis+nonsense://one", "redis+cluster://"),
        ("http+cluster://one", "redis+cluster://"),
        ("rediss://h?ca_cert=/no/such/file", "/no/such/file"),
    ] {
        let Err(error) = Address::parse(url) else {
            panic!("{url} was taken");
        };
        assert!(error.to_string().contains(hint), "{url}: {error}");
    }
}

//! Posters of teams and links of invitations that open in a browser and in WeChat.

use api_server::Settings;
use serde_json::{Value, json};

use super::{
    people::new_team,
    places::new_clinic,
    scene::Scene,
    service::{Reply, Service, roomy},
};

const ADDRESS: &str = "https://clinic.example.com";

async fn public() -> Scene {
    let settings = Settings {
        public_address: Some(ADDRESS.parse().unwrap()),
        ..roomy()
    };
    Scene::on(Service::start_with(settings).await).await
}

/// The text of the QR code of an SVG is not read here: `link/qr.rs` reads one of a PNG.
fn png(shown: &Value) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let file = STANDARD.decode(shown["qr_png"].as_str().unwrap()).unwrap();
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&file));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    image.detect_grids()[0].decode().unwrap().1
}

fn is_a_plain_page(reply: &Reply) {
    let policy = reply.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'nonce-"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"));
    assert!(!reply.text.contains("<script") && !reply.text.contains("onclick"));
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn a_poster_leads_to_the_team() {
    let scene = public().await;
    let (service, team) = (&scene.service, scene.team.id);
    let path = format!("/team/{team}/poster");
    for user in [&scene.team.owner, &scene.team.assistant, &scene.doctor] {
        let poster = scene.get(user, path.clone()).await.result();
        assert_eq!(poster["link"], format!("{ADDRESS}/t/{team}"));
        assert_eq!(poster["app_link"], format!("huizhen://team/page?team_id={team}"));
        assert_eq!(png(&poster), poster["link"].as_str().unwrap());
        assert!(poster["qr_svg"].as_str().unwrap().starts_with("<svg"));
    }
    scene
        .get(&scene.patient, path)
        .await
        .refused(403, "team.forbidden");
    let page = service.get(&format!("/t/{team}")).send().await;
    assert_eq!(page.status, 200);
    is_a_plain_page(&page);
    for told in [
        "儿科",
        "介绍",
        "Dr. B",
        "Open in the app",
        &format!("huizhen://team/page?team_id={team}"),
    ] {
        assert!(page.text.contains(told), "{told} in {}", page.text);
    }
    // The page of no team is a page, too.
    let missing = service.get("/t/9007199254740991").send().await;
    assert_eq!(missing.status, 404);
    is_a_plain_page(&missing);
    service.get("/t/x").send().await.refused(400, "request.invalid");
}

#[tokio::test]
async fn what_users_write_stays_text_on_a_page() {
    let scene = public().await;
    let mut body = new_team("<b>儿科</b>\"'");
    body["introduction"] = json!("<script>alert(1)</script> & <img src=x onerror=alert(1)>");
    let made = scene.post(&scene.team.owner, "/team".into(), body).await.result();
    let page = scene.service.get(&format!("/t/{}", made["team_id"])).send().await;
    is_a_plain_page(&page);
    assert!(
        page.text
            .contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;img src=x")
    );
    assert!(!page.text.contains("<b>") && !page.text.contains("<img"));
}

#[tokio::test]
async fn without_a_public_address_a_poster_opens_the_app() {
    let scene = Scene::new().await;
    let poster = scene
        .get(&scene.doctor, format!("/team/{}/poster", scene.team.id))
        .await
        .result();
    assert_eq!(poster["link"], Value::Null);
    assert_eq!(png(&poster), poster["app_link"].as_str().unwrap());
    let path = format!("/team/{}/invitation", scene.team.id);
    let made = scene.post(&scene.team.owner, path, json!({})).await.result();
    assert!(made.get("web_link").is_none());
    assert_eq!(png(&made), made["link"].as_str().unwrap());
}

#[tokio::test]
async fn an_invitation_opens_in_a_browser_and_both_links_join() {
    let scene = public().await;
    let (service, owner) = (&scene.service, &scene.team.owner);
    let clinic = new_clinic(service, owner).await;
    for (place, id) in [("team", scene.team.id), ("clinic", clinic)] {
        let path = format!("/{place}/{id}/invitation");
        let made = scene.post(owner, path, json!({"max_uses": 3})).await.result();
        let (link, web) = (made["link"].as_str().unwrap(), made["web_link"].as_str().unwrap());
        assert_eq!(png(&made), web);
        let local = web.strip_prefix(ADDRESS).unwrap();
        let rest = link.strip_prefix("huizhen://").unwrap();
        assert_eq!(local, format!("/i/{rest}"));
        // WeChat adds parameters of its own.
        for tail in ["", "&from=singlemessage&isappinstalled=0"] {
            let page = service.get(&format!("{local}{tail}")).send().await;
            assert_eq!(page.status, 200);
            is_a_plain_page(&page);
            assert!(page.text.contains(&link.replace('&', "&amp;")), "{}", page.text);
        }
        for bad in [
            &local[..local.len() - 1],
            &format!("/i/{place}/join"),
            &local.replace("inviter_id=", "inviter_id=1"),
        ] {
            assert_eq!(service.get(bad).send().await.status, 404, "{bad}");
        }
        for link in [link, web] {
            let doctor = service.doctor("Dr. New").await;
            let joined = scene
                .post(&doctor, format!("/{place}/join"), json!({"invitation": link}))
                .await;
            joined.result();
        }
        let forged = web.replace(ADDRESS, "https://evil.example");
        let doctor = service.doctor("Dr. New").await;
        // The signature decides, not the host.
        scene
            .post(&doctor, format!("/{place}/join"), json!({"invitation": forged}))
            .await
            .result();
        let changed = web.replace("signature=", "signature=0");
        let refused = scene
            .post(&doctor, format!("/{place}/join"), json!({"invitation": changed}))
            .await;
        refused.refused(403, &format!("{place}.invitation_refused"));
    }
}

/// A page names a team as it is called today.
#[tokio::test]
async fn an_old_link_works_and_is_named_after_a_rename() {
    let scene = public().await;
    let path = format!("/team/{}/invitation", scene.team.id);
    let made = scene.post(&scene.team.owner, path, json!({})).await.result();
    let path = format!("/team/{}", scene.team.id);
    scene
        .team
        .owner
        .put(&scene.service, &path, json!({"name": "儿童呼吸科"}))
        .send()
        .await
        .result();
    let local = made["web_link"].as_str().unwrap().strip_prefix(ADDRESS).unwrap();
    let page = scene.service.get(local).send().await;
    assert!(page.text.contains("<h1>儿童呼吸科</h1>"), "{}", page.text);
    let doctor = scene.service.doctor("Dr. New").await;
    let joined = scene
        .post(&doctor, "/team/join".into(), json!({"invitation": made["link"]}))
        .await;
    assert_eq!(joined.result()["name"], "儿童呼吸科");
}

//! Who may come in.

use std::os::unix::fs::PermissionsExt;

use archetype_api::{Client, ClientError, Problem, Target};
use reqwest::StatusCode;

use super::stand::{Stand, TWO, lab, refusal};

async fn ask(stand: &Stand, path: &str, headers: &[(&str, &str)]) -> (StatusCode, String, String) {
    let mut request = reqwest::Client::new().get(format!("http://{}{path}", stand.listening()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_string());
    (answer.status(), kind.unwrap_or_default(), answer.text().await.unwrap())
}

#[tokio::test]
async fn the_socket_is_nobody_elses() {
    let stand = Stand::new().await;
    let socket = stand.directory.path().join("run/a.sock");
    assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn the_port_asks_for_the_token() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let bearer = format!("Bearer {}", stand.token());
    for headers in [vec![], vec![("authorization", "Bearer wrong")], vec![("authorization", "Basic x")]] {
        let (status, kind, body) = ask(&stand, "/api/v1/labs", &headers).await;
        assert_eq!((status, kind.as_str()), (StatusCode::UNAUTHORIZED, "application/problem+json"));
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!((problem.code.as_str(), problem.instance.as_deref()), ("token-missing", Some("/api/v1/labs")));
    }
    assert_eq!(ask(&stand, "/api/v1/labs", &[("authorization", &bearer)]).await.0, StatusCode::OK);
    let target = Target::Http { address: stand.listening(), token: stand.token() };
    let client = Client::new(target).unwrap();
    assert_eq!(client.labs().await.unwrap().labs.len(), 1);
    let start = archetype_api::exec::ExecStart { argv: vec!["x".into()], ..Default::default() };
    assert!(client.exec(&lab("two"), &"a".parse().unwrap(), &start).await.is_ok());
    let wrong = Client::new(Target::Http { address: stand.listening(), token: "no".into() }).unwrap();
    let refused = wrong.exec(&lab("two"), &"a".parse().unwrap(), &start).await.map(drop);
    assert_eq!(refusal(refused).code, "token-missing");
}

#[tokio::test]
async fn a_foreign_name_or_page_is_turned_away() {
    let stand = Stand::new().await;
    let bearer = format!("Bearer {}", stand.token());
    for foreign in [("host", "evil.example.org"), ("origin", "http://evil.example.org"), ("origin", "null")] {
        let (status, _, body) = ask(&stand, "/api/v1/labs", &[("authorization", &bearer), foreign]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{foreign:?}");
        assert!(body.contains("origin-refused"));
    }
    let own = [("authorization", bearer.as_str()), ("origin", "http://localhost:3000")];
    assert_eq!(ask(&stand, "/api/v1/labs", &own).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_pages_need_no_token_and_nothing_from_elsewhere() {
    let stand = Stand::new().await;
    let (status, _, document) = ask(&stand, "/api/v1/openapi.json", &[]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document, archetype_api::OPENAPI);
    for path in ["/docs", "/api/v1/docs", "/docs/problems", "/docs/problems/lab-unknown"] {
        let (status, kind, page) = ask(&stand, path, &[]).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(kind.starts_with("text/html") && !page.contains("src=") && !page.contains("//cdn"), "{path}");
    }
    assert_eq!(ask(&stand, "/docs/problems/nosuch", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_a_page() {
    let stand = Stand::new().await;
    let problem = refusal(stand.client.lab(&lab("nosuch")).await);
    assert_eq!(problem.page, "/docs/problems/lab-unknown");
    assert_eq!(ask(&stand, &problem.page, &[]).await.0, StatusCode::OK);
    let bearer = format!("Bearer {}", stand.token());
    let headers = [("authorization", bearer.as_str())];
    let (status, kind, body) = ask(&stand, "/nowhere", &headers).await;
    assert_eq!((status, kind.as_str()), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert!(body.contains("path-unknown") && body.contains("/nowhere"));
    let (status, _, body) = ask(&stand, "/api/v1/plan", &headers).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(body.contains("method-refused"));
    let (status, _, body) = ask(&stand, "/api/v1/labs/bad%20name", &headers).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("request-unreadable") && body.contains("lab name"), "{body}");
    let (status, _, body) = ask(&stand, "/api/v1/journal?limt=1", &headers).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("request-unreadable") && body.contains("limt"), "{body}");
}

#[tokio::test]
async fn a_stopped_controller_leaves_its_socket_to_the_next() {
    let stand = Stand::new().await;
    let version = stand.client.version().await.unwrap();
    let Stand { running, directory, client, .. } = stand;
    running.stop().await;
    assert!(matches!(client.labs().await, Err(ClientError::Unreachable { .. })));
    drop(client);
    let stand = Stand::on(directory, std::time::Duration::from_secs(60)).await;
    assert_eq!(stand.client.version().await.unwrap(), version);
}

#[tokio::test]
async fn health_says_what_is_not_well() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    assert!(stand.client.health().await.unwrap().ok);
    stand.agent.set(|host| host.refuses = Some("its ledger is newer".into()));
    stand.client.destroy(&lab("two")).await.unwrap();
    stand.until("two", |two| !two.findings.is_empty()).await;
    let health = stand.client.health().await.unwrap();
    assert!(!health.ok);
    assert_eq!(health.complaints, ["host here: its ledger is newer"]);
}

//! Commands in nodes, and what nodes printed.

use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish};
use futures::StreamExt;

use super::stand::{Stand, TWO, lab, refusal};

fn run(argv: &[&str]) -> ExecStart {
    ExecStart { argv: argv.iter().map(ToString::to_string).collect(), stdin: true, ..ExecStart::default() }
}

#[tokio::test]
async fn a_command_reads_prints_and_ends() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let (two, a) = (lab("two"), "a".parse().unwrap());
    let (mut sender, mut receiver) = stand.client.exec(&two, &a, &run(&["cat", "-u"])).await.unwrap();
    let hello = receiver.next().await.unwrap().unwrap();
    assert_eq!(hello, ExecOutput::Stdout(b"clab-two-a: cat -u\n".to_vec()));
    sender.send(ExecInput::Stdin(b"\x00\xffdata".to_vec())).await.unwrap();
    assert_eq!(receiver.next().await.unwrap().unwrap(), ExecOutput::Stderr(b"\x00\xffdata".to_vec()));
    sender.send(ExecInput::Wish(ExecWish::CloseStdin)).await.unwrap();
    assert_eq!(receiver.next().await.unwrap().unwrap(), ExecOutput::End(ExecEnd::Exit(7)));
    assert!(receiver.next().await.is_none());
}

#[tokio::test]
async fn a_command_that_cannot_be_run_says_why() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let (two, a) = (lab("two"), "a".parse().unwrap());
    let (_sender, mut receiver) = stand.client.exec(&two, &a, &run(&["missing"])).await.unwrap();
    let ExecOutput::End(ExecEnd::Failed(problem)) = receiver.next().await.unwrap().unwrap() else {
        panic!("it ended otherwise");
    };
    assert_eq!(problem.detail, "there is no program `missing`");
    let refused = stand.client.exec(&two, &"zz".parse().unwrap(), &run(&["x"])).await.map(drop);
    assert_eq!(refusal(refused).code, "node-unknown");
}

#[tokio::test]
async fn what_a_node_printed_comes_as_it_was_printed() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let pieces = stand.client.logs(&lab("two"), &"b".parse().unwrap(), true).await.unwrap();
    let text: Vec<u8> = pieces.map(|piece| piece.unwrap()).concat().await;
    assert_eq!(String::from_utf8(text).unwrap(), "b started\nfollow true\n");
}

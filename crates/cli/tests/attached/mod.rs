//! A command in a node with a terminal, by the API alone: what a program does that is not this command line. Knows
//! no lab.

use std::time::Duration;

use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish};
use archetype_api::{Client, Target};
use archetype_model::{LabName, NodeName};

use crate::world::World;

/// More than any of them takes, also on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a script of a shell in `b` of the lab `box`, on a terminal whose input is this text and has then ended; what the
/// terminal showed, and the script's exit code.
pub fn run(world: &World, script: &str, sent: &str) -> (String, i64) {
    let socket = world.serve.environment().iter().find(|(name, _)| name == "ARCHETYPE_SOCKET").unwrap().1.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(Target::Socket(socket.into())).unwrap();
        let start = ExecStart {
            argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
            tty: true,
            stdin: true,
            size: None,
            env: Default::default(),
            user: None,
        };
        let (lab, node) = (LabName::new("box").unwrap(), NodeName::new("b").unwrap());
        let (mut sender, mut receiver) = client.exec(&lab, &node, &start).await.unwrap();
        sender.send(ExecInput::Stdin(sent.as_bytes().to_vec())).await.unwrap();
        sender.send(ExecInput::Wish(ExecWish::CloseStdin)).await.unwrap();
        let mut shown = Vec::new();
        let whole = async {
            loop {
                match receiver.next().await.expect("an end is told").unwrap() {
                    ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => shown.extend(bytes),
                    ExecOutput::End(ExecEnd::Exit(code)) => return code,
                    ExecOutput::End(end) => panic!("{end:?}"),
                }
            }
        };
        let code = tokio::time::timeout(PATIENCE, whole).await.expect("it ends");
        (String::from_utf8_lossy(&shown).into_owned(), code)
    })
}

//! Commands in namespace nodes with their streams or a terminal, and their output file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archetype_api::exec::{ExecEnd, ExecInput, ExecOutput, ExecStart, ExecWish, TerminalSize};
use archetype_api::problem::Problem;
use archetype_controller::{Attached, Output};
use archetype_host::Place;
use archetype_host::processes::{self, Inside, User, spawn_inside, status};
use archetype_model::spec::NodeSpec;
use futures::StreamExt as _;
use nix::errno::Errno;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, Uid, fchown};
use tokio::sync::mpsc;

use super::access::{not_running, problem};
use super::end_of_input::TerminalInput;

const PIECES: usize = 64;
/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Runs a command in a namespace node.
pub(super) fn run(
    place: &Place,
    node: &NodeSpec,
    env: &BTreeMap<String, String>,
    start: ExecStart,
) -> Result<Attached, Box<Problem>> {
    if !processes::runs(place, &node.container) {
        return Err(not_running(node));
    }
    let failed =
        |error: io::Error| problem("exec-failed", &format!("{}: {error}", archetype_api::words::shown(&start.argv)));
    let (program, words) = start.argv.split_first().ok_or_else(|| problem("exec-failed", "no command was given"))?;
    let user = start.user.as_deref().map(User::find).transpose();
    let hint = "commands in a namespace node run as users of its host";
    let user = user.map_err(|error| Box::new(problem("exec-failed", &error.to_string()).hint(hint)))?;
    let mut command = Command::new(program);
    command.args(words).envs(env).envs(user.iter().flat_map(User::env)).envs(&start.env);
    let how = Inside { terminal: start.tty, user: user.map(|user| user.credentials) };
    let started = match start.tty {
        true => on_terminal(place, node, command, how, start.size),
        false => on_pipes(place, node, command, how, start.stdin),
    };
    started.or_else(|error| match status_of_unstarted(&error) {
        Some(code) => Ok(unstarted(program, &error, code)),
        None => Err(failed(error)),
    })
}

fn on_terminal(
    place: &Place,
    node: &NodeSpec,
    mut command: Command,
    how: Inside,
    size: Option<TerminalSize>,
) -> io::Result<Attached> {
    let (ours, theirs) = terminal(size).map_err(io::Error::other)?;
    if let Some(user) = &how.user {
        // Programs open their terminal anew by its name.
        fchown(&theirs, Some(Uid::from_raw(user.uid)), None).map_err(io::Error::other)?;
    }
    let (input, wishes) = mpsc::channel(PIECES);
    let (answers, output) = mpsc::channel(PIECES);
    let reader = ours.try_clone()?;
    command.stdin(theirs.try_clone()?).stdout(theirs.try_clone()?).stderr(theirs);
    let child = spawn_inside(place, node, command, how)?;
    pump(reader.into(), answers.clone(), ExecOutput::Stdout);
    let running = wait(child, answers);
    tokio::spawn(feed(wishes, Some(Sink::Terminal(ours.into(), TerminalInput::default())), running));
    Ok(Attached { input, output })
}

fn on_pipes(place: &Place, node: &NodeSpec, mut command: Command, how: Inside, stdin: bool) -> io::Result<Attached> {
    let (input, wishes) = mpsc::channel(PIECES);
    let (answers, output) = mpsc::channel(PIECES);
    command.stdin(if stdin { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, as a terminal's session is: a client that goes away has all of it hang up.
    command.process_group(0);
    let mut child = spawn_inside(place, node, command, how)?;
    let sink = child.stdin.take().map(|stdin| Sink::Pipe(File::from(OwnedFd::from(stdin))));
    let pipes = [
        child.stdout.take().map(|pipe| (OwnedFd::from(pipe), ExecOutput::Stdout as fn(Vec<u8>) -> ExecOutput)),
        child.stderr.take().map(|pipe| (OwnedFd::from(pipe), ExecOutput::Stderr as fn(Vec<u8>) -> ExecOutput)),
    ];
    for (pipe, channel) in pipes.into_iter().flatten() {
        pump(pipe.into(), answers.clone(), channel);
    }
    let running = wait(child, answers);
    tokio::spawn(feed(wishes, sink, running));
    Ok(Attached { input, output })
}

/// What a shell ends with when it cannot start a program: 127 when it is not there, 126 when it
/// cannot be run.
fn status_of_unstarted(error: &io::Error) -> Option<i64> {
    match error.raw_os_error()? {
        libc::ENOENT | libc::ENOTDIR => Some(127),
        libc::EACCES | libc::EISDIR | libc::ENOEXEC => Some(126),
        _ => None,
    }
}

/// A command that has ended before it began, as a shell would tell it.
fn unstarted(program: &str, error: &io::Error, code: i64) -> Attached {
    let (input, _) = mpsc::channel(1);
    let (answers, output) = mpsc::channel(2);
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such program in the node".to_owned(),
        _ => error.to_string(),
    };
    let told = [ExecOutput::Stderr(format!("{program}: {why}\n").into_bytes()), ExecOutput::End(ExecEnd::Exit(code))];
    for piece in told {
        // There is room for both.
        drop(answers.try_send(piece));
    }
    Attached { input, output }
}

/// Where the client's input goes.
enum Sink {
    Terminal(File, TerminalInput),
    Pipe(File),
}

fn terminal(size: Option<TerminalSize>) -> io::Result<(OwnedFd, OwnedFd)> {
    let size = size.map(winsize);
    let pair = openpty(size.as_ref(), None)?;
    Ok((pair.master, pair.slave))
}

fn winsize(size: TerminalSize) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Hands on what a command prints, on a thread of its own: its end is the end of the stream. The
/// sender it holds keeps the client's stream open until then.
fn pump(mut from: File, answers: mpsc::Sender<ExecOutput>, channel: fn(Vec<u8>) -> ExecOutput) {
    std::thread::spawn(move || {
        let mut buffer = vec![0u8; 16 * 1024];
        // EIO is how a terminal says that its last user is gone.
        while let Ok(got @ 1..) = from.read(&mut buffer) {
            if answers.blocking_send(channel(buffer[..got].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// A command until it has ended; from then on its number may be somebody else's.
#[derive(Debug, Clone)]
struct Running(Arc<Mutex<Option<Pid>>>);

impl Running {
    fn of(child: &Child) -> Self {
        let pid = i32::try_from(child.id()).ok().map(Pid::from_raw);
        Self(Arc::new(Mutex::new(pid)))
    }

    /// What a person's terminal does when its window is closed; the command may go on all the same.
    fn hang_up(&self) {
        if let Some(group) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // A group that has just ended hears nothing.
            let _ = killpg(group, Signal::SIGHUP);
        }
    }

    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let pid = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The number stays its own until the system has been asked for its status.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while pid.is_some_and(|pid| waitid(Id::Pid(pid), flags) == Err(Errno::EINTR)) {}
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        child.wait()
    }
}

/// Tells the end, when everything that was printed has been handed on.
fn wait(mut child: Child, answers: mpsc::Sender<ExecOutput>) -> Running {
    let running = Running::of(&child);
    let followed = running.clone();
    std::thread::spawn(move || {
        let end = match followed.wait(&mut child) {
            Ok(ended) => ExecEnd::Exit(status(ended)),
            Err(error) => ExecEnd::Failed(problem("exec-failed", &error.to_string())),
        };
        // The pumps hold the other senders; they end with the command's streams, or soon after it
        // where something that it left behind keeps them open.
        for _ in 0..100 {
            if answers.strong_count() <= 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(answers.blocking_send(ExecOutput::End(end)));
    });
    running
}

/// The way of a client's input to its command: at its end, the client's or ours, a command that still runs hangs up.
struct Line(Running);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

/// Hands on what the client sends, until it goes away.
async fn feed(mut wishes: mpsc::Receiver<ExecInput>, sink: Option<Sink>, running: Running) {
    let _line = Line(running);
    let sink = Arc::new(Mutex::new(sink));
    while let Some(wish) = wishes.recv().await {
        let sink = sink.clone();
        // A command that reads nothing must not hold up a worker.
        let work = move || {
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            match (wish, &mut *sink) {
                (ExecInput::Stdin(bytes), Some(Sink::Pipe(file))) => drop(file.write_all(&bytes)),
                (ExecInput::Stdin(bytes), Some(Sink::Terminal(file, input))) => {
                    input.sent(&bytes);
                    drop(file.write_all(&bytes));
                }
                (ExecInput::Wish(ExecWish::Resize(size)), Some(Sink::Terminal(file, _))) => resize(file, size),
                (ExecInput::Wish(ExecWish::CloseStdin), Some(Sink::Terminal(file, input))) => {
                    drop(file.write_all(input.end()));
                }
                (ExecInput::Wish(ExecWish::CloseStdin), sink @ Some(Sink::Pipe(_))) => *sink = None,
                _ => {}
            }
        };
        drop(tokio::task::spawn_blocking(work).await);
    }
}

fn resize(terminal: &File, size: TerminalSize) {
    use std::os::fd::AsRawFd as _;
    let size = winsize(size);
    // SAFETY: TIOCSWINSZ reads one Winsize, which outlives the call.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
}

/// What a namespace node's command printed, and with `follow` what it prints from now on.
pub(super) fn log(path: PathBuf, follow: bool, tail: Option<u32>) -> Output {
    let (pieces, output) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let Ok(mut file) = File::open(&path) else { return };
        let mut text = Vec::new();
        if file.read_to_end(&mut text).is_err() || pieces.blocking_send(Ok(last_lines(text, tail))).is_err() {
            return;
        }
        while follow && !pieces.is_closed() {
            std::thread::sleep(LOOK);
            // The file was begun anew: it is bounded.
            if let Ok(now) = std::fs::metadata(&path)
                && file.stream_position().is_ok_and(|at| now.len() < at)
                && let Ok(anew) = File::open(&path)
            {
                file = anew;
            }
            let mut more = Vec::new();
            if file.read_to_end(&mut more).is_ok() && !more.is_empty() && pieces.blocking_send(Ok(more)).is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(output).boxed()
}

fn last_lines(text: Vec<u8>, tail: Option<u32>) -> Vec<u8> {
    let Some(tail) = tail else { return text };
    let body = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut ends = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let from = match tail {
        0 => text.len(),
        lines => ends.nth(lines as usize - 1).unwrap_or(0),
    };
    text[from..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_lines() {
        let text = b"one\ntwo\nthree\n".to_vec();
        assert_eq!(last_lines(text.clone(), Some(2)), b"two\nthree\n");
        assert_eq!(last_lines(text.clone(), Some(9)), text);
        assert_eq!(last_lines(text.clone(), Some(0)), b"");
        assert_eq!(last_lines(text.clone(), None), text);
    }
}

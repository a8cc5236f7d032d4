//! Development only: a sandboxed Linux host with its own Open vSwitch and Docker Engine.
//!
//! Tests of Archetype use real daemons and a real kernel, never mocks. This crate gives each such test a host of its
//! own: private network, mount and process namespaces, a fresh `/run`, a scratch folder on disk and, on request, an
//! Open vSwitch and a Docker Engine inside. All of it is gone when the test ends, in whatever way it ends: a panic, a
//! time limit, `kill -9`. Nothing here knows a lab, a link or any other noun of Archetype.
//!
//! # Usage
//!
//! ```no_run
//! use archetype_testbed::{Engine, Ovs, run, sandbox, scratch_dir};
//!
//! // In a crate's tests this function carries `#[test]`.
//! fn a_port_is_seen_with_its_tag() {
//!     sandbox(|| {
//!         let ovs = Ovs::start(scratch_dir("ovs"));
//!         ovs.vsctl(["add-br", "b0", "--", "set", "bridge", "b0", "datapath_type=netdev"]);
//!         run("ip", ["link", "add", "p0", "type", "veth", "peer", "name", "p1"]);
//!         ovs.vsctl(["add-port", "b0", "p0", "tag=7"]);
//!         assert_eq!(ovs.vsctl(["get", "port", "p0", "tag"]).trim(), "7");
//!
//!         let engine = Engine::start(scratch_dir("engine"), &[]);
//!         engine.import_busybox("bb");
//!         engine.docker(["run", "--rm", "--network", "none", "bb", "true"]);
//!     });
//! }
//! ```
//!
//! * [`sandbox()`] runs the current test again, alone, as a child inside the namespaces; the body runs only there. The
//!   child's output becomes the test's output. An async body makes its own runtime inside: `sandbox(||
//!   runtime.block_on(async { … }))` with the runtime made in the closure.
//! * [`Sandbox`] is the same with a time limit of one's own, or for a program that is no test.
//! * [`scratch`] and [`scratch_dir`] are folders on disk, gone with the sandbox; `TMPDIR` points there too.
//! * [`need_lab_images`], called before the sandbox, and [`Engine::load_lab_images`] give an engine the images that the
//!   example labs name.
//! * [`run`] and [`attempt`] run a program; [`eventually`] waits for a fact without a fixed sleep, [`slowly`] makes a
//!   time as much longer as the machine is slow. [`Trials`] are times that are a claim.
//! * [`xdp_program`] is a program that drops or passes every frame, and [`xdp_set`] puts it onto a device.
//! * [`Inside`] is an interface in a namespace, watched by the millisecond.
//!
//! # Failures
//!
//! A test has nobody to hand an error to, so everything here panics with words: what was run, what it printed. A test
//! that cannot run (no root, a missing program) fails, it is never skipped.

pub mod command;
pub mod daemon;
pub mod engine;
pub mod images;
pub mod inside;
pub mod ovs;
pub mod sandbox;
pub mod trials;
pub mod xdp;

pub use command::{attempt, eventually, is_slowed, process_runs, run, slowly};
pub use engine::{Engine, EngineOptions};
pub use images::need_lab_images;
pub use inside::Inside;
pub use ovs::{Datapaths, Ovs};
pub use sandbox::{Sandbox, in_sandbox, sandbox, scratch, scratch_dir};
pub use trials::Trials;
pub use xdp::{Verdict, xdp_program, xdp_set};

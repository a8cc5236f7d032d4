//! Where the time of the machines goes, by what they print: how long each test took, and all of them together. Knows
//! the lines of the job's script and of Rust's test programs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the tests may take, from the first machine that is up to the end of the last. More is told, and fails nothing:
/// how long they take depends on what else this machine does.
pub const AIM: Duration = Duration::from_secs(300);

/// How long one test took, or a program where it told of no test.
struct Row {
    program: String,
    test: String,
    time: Duration,
}

/// What has been heard so far.
#[derive(Default)]
pub struct Times {
    /// Since when the first machine is up.
    up: Option<Instant>,
    /// By program, its test of the moment and since when that runs.
    running: BTreeMap<String, (String, Instant)>,
    rows: Vec<Row>,
}

impl Times {
    /// Takes a line that a machine has printed just now.
    pub fn hear(&mut self, line: &str) {
        let now = Instant::now();
        let Some((program, told)) = line.split_once(": ") else { return };
        if program == "kernel" {
            if told.contains(" is up after ") {
                self.up.get_or_insert(now);
            } else if let Some((ended, _)) = told.split_once(" took ") {
                self.end(ended, now);
            }
        } else if let Some((test, _)) = told.strip_prefix("test ").and_then(|told| told.split_once(" ...")) {
            // A test in a sandbox is told twice: by the program, and by its copy inside.
            if self.running.get(program).is_none_or(|(running, _)| running != test) {
                self.end(program, now);
                self.running.insert(program.to_owned(), (test.to_owned(), now));
            }
        }
    }

    fn end(&mut self, program: &str, now: Instant) {
        if let Some((test, begun)) = self.running.remove(program) {
            self.rows.push(Row { program: program.to_owned(), test, time: now - begun });
        }
    }

    /// What all of it took until now; nothing where no machine came up.
    pub fn all(&self) -> Duration {
        self.up.map_or(Duration::ZERO, |up| up.elapsed())
    }

    /// The tests by program, in the order in which they ran, and whether they kept to the time that is aimed at.
    pub fn told(&self) -> String {
        let mut text = "kernel: seconds of each test, those of other lanes beside it\n".to_owned();
        for Row { program, test, time } in &self.rows {
            text.push_str(&format!("{:8.1}  {program} {test}\n", time.as_secs_f32()));
        }
        let (all, aim) = (self.all().as_secs(), AIM.as_secs());
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        text.push_str(&format!(
            "kernel: the tests took {all} s of at most {aim} s; load average of this machine {load}\n"
        ));
        if self.all() > AIM {
            text.push_str(&format!(
                "kernel: ATTENTION: MORE THAN {aim} s. Either this machine does much else, or a test has grown slow \
                 (above), or one should be left to the ordinary run (crates/xtask/src/kernel/tests.rs).\n"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_told_once_from_its_first_line_to_the_next_ones_or_its_programs_end() {
        let mut times = Times::default();
        for line in [
            "kernel: 6.1.0 is up after 9.1 s",
            "a/one: running 2 tests",
            "a/one: test first ...",
            "b/two: test other ... ok",
            "a/one: running 1 test",
            "a/one: test first ... ok",
            "a/one: test second ... disturb: tag",
            "kernel: a/one took 7 s",
            "kernel: b/two took 9 s",
        ] {
            times.hear(line);
        }
        let rows: Vec<(&str, &str)> = times.rows.iter().map(|row| (&*row.program, &*row.test)).collect();
        assert_eq!(rows, [("a/one", "first"), ("a/one", "second"), ("b/two", "other")]);
        assert!(times.running.is_empty() && !times.told().contains("ATTENTION"));
    }
}

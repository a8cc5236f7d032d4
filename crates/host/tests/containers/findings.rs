//! Findings of a node's tasks whose cause lies on the host or with us: each has its code, and words for a person.

use std::fs;
use std::sync::Arc;

use archetype_host::TaskEnded;
use archetype_host::containers::{Containers, Order, Settings};
use archetype_host::{Place, Waker};
use archetype_model::step::NodeAction;
use archetype_testbed::run;

use super::bed::{container, is_running, on_an_engine, open, settings, shell};

/// The task failed with that code, in words that name what it is about, and says what to do.
#[track_caller]
fn told(ended: TaskEnded, code: &str, words: &str) {
    let error = ended.error.unwrap_or_else(|| panic!("{code} is told"));
    assert_eq!(error.code, code, "{error:?}");
    assert!(error.message.contains(words) && !error.message.contains('\n'), "{words}: {error:?}");
    assert!(!error.hint.is_empty(), "{error:?}");
    eprintln!("{code}: {} | {}", error.message, error.hint);
}

#[test]
fn a_nodes_files_that_cannot_be_made_are_told_until_there_is_room_for_them() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        let in_the_way = Place::new("ab1c2".parse().unwrap()).hosts_file(&node.container);
        fs::create_dir_all(in_the_way.join("somebody's")).unwrap();
        told(bed.does(&node, NodeAction::Create).await, "node-files-failed", "hosts and resolver files");
        fs::remove_dir_all(&in_the_way).unwrap();
        bed.started(&node).await;

        bed.done(&node, NodeAction::Stop).await;
        fs::remove_file(&in_the_way).unwrap();
        fs::create_dir_all(in_the_way.join("somebody's")).unwrap();
        told(bed.does(&node, NodeAction::Start).await, "node-files-failed", "hosts and resolver files");
        fs::remove_dir_all(&in_the_way).unwrap();
        bed.done(&node, NodeAction::Start).await;
    });
}

#[test]
fn a_node_that_the_engine_does_not_remove_is_told_until_it_does() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.done(&node, NodeAction::Create).await;
        let root = bed.engine.docker(["info", "--format", "{{.DockerRootDir}}"]);
        let containers = format!("{}/containers", root.trim());
        run("mount", ["--bind", &containers, &containers]);
        run("mount", ["-o", "remount,ro,bind", &containers]);
        told(bed.does(&node, NodeAction::Remove).await, "node-remove-failed", "read-only file system");
        run("umount", [&containers]);
        bed.done(&node, NodeAction::Remove).await;
        assert_eq!(bed.node("r1"), None);
    });
}

#[test]
fn work_on_a_node_that_nothing_describes_is_refused_as_a_fault_of_ours() {
    on_an_engine(async |bed| {
        let name = container("r1");
        let order = Order { container: name.clone(), action: NodeAction::Start, wanted: None, exec: None };
        assert!(bed.room.begin(order));
        told(bed.task_ended(&name).await, "node-not-described", "nothing describes clab-lab1-r1");
    });
}

#[test]
fn a_task_that_breaks_is_told_and_leaves_the_node_to_the_next() {
    on_an_engine(async |bed| {
        let node = shell("r1", "sleep 1000");
        bed.done(&node, NodeAction::Create).await;
        let (waker, events) = Waker::channel();
        let usual = settings(&bed.engine, "runc", &bed.notes);
        let broken = Settings { write_facts: Arc::new(|_, _| panic!("out of cheese")), ..usual };
        (bed.room, bed.events) = (Containers::open(broken, waker), events);
        bed.until("the engine is read", |bed| bed.node("r1")).await;
        told(bed.does(&node, NodeAction::Start).await, "task-crashed", "a fault of ours");
        assert!(!is_running(&bed.run("r1")));

        let notes = Arc::clone(&bed.notes);
        (bed.room, bed.events) = open(&bed.engine, "runc", &notes);
        bed.until("the engine is read", |bed| bed.node("r1")).await;
        bed.done(&node, NodeAction::Start).await;
    });
}

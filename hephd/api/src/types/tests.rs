//! What the JSON looks like, where a type does not say it by itself.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use serde_json::json;

use super::*;

#[test]
fn a_patch_keeps_clears_or_sets() {
    let edit = EditTask {
        id: "1a2b".into(),
        do_date: Patch::Clear,
        attention: Patch::Set(Attention::Red),
        ..EditTask::default()
    };
    let wire = serde_json::to_value(&edit).unwrap();
    assert_eq!(wire["do_date"], json!(null));
    assert_eq!(wire["attention"], "red");
    assert!(wire.get("late_on").is_none());
    assert_eq!(serde_json::from_value::<EditTask>(wire).unwrap(), edit);
}

#[test]
fn a_path_that_is_not_utf_8_survives() {
    let raw = PathText(OsString::from_vec(b"/v/caf\xe9.md".to_vec()).into());
    assert_eq!(serde_json::to_value(&raw).unwrap(), json!({"hex": "2f762f636166e92e6d64"}));
    for path in [raw, PathText("/v/café.md".into())] {
        let wire = serde_json::to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<PathText>(&wire).unwrap(), path);
    }
    for bad in [json!({"hex": "2f7"}), json!({"hex": "zz"}), json!(7)] {
        assert!(serde_json::from_value::<PathText>(bad).is_err());
    }
}

#[test]
fn every_state_has_its_word() {
    for state in [SyncState::InSync, SyncState::OtherHub, SyncState::Local, SyncState::Unreachable] {
        assert_eq!(serde_json::to_value(state).unwrap(), state.word());
    }
}

#[test]
fn a_misspelt_field_is_refused() {
    assert!(serde_json::from_value::<ListTasks>(json!({"tags": "home"})).is_err());
    assert_eq!(serde_json::from_value::<ListTasks>(json!({})).unwrap(), ListTasks::default());
}

#[test]
fn head_choices_read_as_documented() {
    assert_eq!(serde_json::to_value(HeadChoice::Number(2)).unwrap(), json!({"number": 2}));
}

//! Several stores on one directory, as several processes have them.

use super::super::tests::Scratch;
use super::*;

fn place(scratch: &Scratch, max_bytes: u64) -> Place {
    Place::prepare(scratch.path(), max_bytes, Protocol::Otlp, "key").unwrap()
}

fn store(scratch: &Scratch) -> Store {
    Store::new(place(scratch, 1 << 20))
}

fn put(store: &mut Store, text: &str) -> Filed {
    store.put([(1, text.as_bytes())].into_iter()).unwrap()
}

fn text(content: Content) -> String {
    String::from_utf8(content.units.into_iter().next().unwrap().1).unwrap()
}

/// As if the process that had it were gone: its locks are let go of, its files stay.
fn end(store: Store) {
    drop(store);
}

fn names(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path()).unwrap().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[test]
fn what_a_process_left_is_found_by_the_next_one_oldest_first_and_by_nobody_while_it_lives() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    let filed: Vec<_> = ["a", "b", "c"].iter().map(|text| put(&mut first, text)).collect();
    assert!(filed.is_sorted_by_key(|filed| filed.order));
    let (mut second, mut third) = (store(&scratch), store(&scratch));
    assert_eq!(second.look(), []);
    end(first);
    let mut found = second.look();
    found.sort_by_key(|filed| filed.order);
    assert_eq!(third.look(), [], "each file has one who sends it");
    let texts: Vec<_> = found.iter().map(|filed| text(second.load(&filed.path).unwrap())).collect();
    assert_eq!(texts, ["a", "b", "c"]);
    for filed in &found {
        second.remove(&filed.path.with_extension(TRIED), filed.bytes);
    }
    assert_eq!(names(&scratch), [""; 0], "the orphan's directory goes with its last file");
    assert_eq!((second.ours, second.look().len()), (0, 0));
}

#[test]
fn a_file_that_may_have_been_sent_says_so_to_whoever_finds_it() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    let filed = put(&mut first, "a");
    assert!(!first.load(&filed.path).unwrap().tried);
    end(first);
    let mut second = store(&scratch);
    let found = second.look();
    assert!(second.load(&found[0].path).unwrap().tried);
}

#[test]
fn what_was_spooled_under_another_key_or_by_another_exporter_is_left_alone() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    put(&mut first, "a");
    end(first);
    for (protocol, key) in [(Protocol::Otlp, "other"), (Protocol::Rest, "key")] {
        let place = Place::prepare(scratch.path(), 1 << 20, protocol, key).unwrap();
        assert_eq!(Store::new(place).look(), []);
    }
    assert_eq!(store(&scratch).look().len(), 1);
}

#[test]
fn more_than_the_bound_is_refused_and_taken_again_once_there_is_room() {
    let scratch = Scratch::new();
    let mut store = Store::new(place(&scratch, 200));
    let first = put(&mut store, &"x".repeat(60));
    assert!(matches!(store.put([(1, &[b'x'; 60][..])].into_iter()), Err(Refusal::Full)));
    store.remove(&first.path, first.bytes);
    put(&mut store, &"x".repeat(60));
}

#[test]
fn the_bound_counts_what_others_have_there_as_well() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    put(&mut first, &"x".repeat(200));
    let mut second = Store::new(place(&scratch, 300));
    second.look();
    assert!(matches!(second.put([(1, &[b'x'; 60][..])].into_iter()), Err(Refusal::Full)));
}

#[test]
fn a_file_that_was_never_finished_is_not_there() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    let filed = put(&mut first, "a");
    let whole = fs::read(&filed.path).unwrap();
    fs::write(filed.path.with_file_name("1.tmp"), &whole[..20]).unwrap();
    end(first);
    let mut second = store(&scratch);
    assert_eq!(second.look().len(), 1);
    assert_eq!(second.notes, [""; 0], "nothing to hear of");
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_is_found() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    let filed: Vec<_> = ["a", "b", "c"].iter().map(|text| put(&mut first, text)).collect();
    let mut bytes = fs::read(&filed[1].path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&filed[1].path, &bytes).unwrap();
    fs::write(&filed[2].path, b"").unwrap();
    end(first);
    let mut second = store(&scratch);
    let mut found = second.look();
    found.sort_by_key(|filed| filed.order);
    assert_eq!(found.len(), 2, "an empty one is seen by its head, the other by its whole");
    assert_eq!(text(second.load(&found[0].path).unwrap()), "a");
    assert!(matches!(second.load(&found[1].path), Err(Unread::Lost(why)) if why.contains("set aside")));
    assert_eq!(names(&scratch).iter().filter(|name| name.ends_with(".corrupt")).count(), 2);
}

#[test]
fn damaged_files_are_kept_up_to_a_bound() {
    let scratch = Scratch::new();
    for _ in 0..MOST_DAMAGED + 5 {
        let mut first = store(&scratch);
        let filed = put(&mut first, "a");
        fs::write(&filed.path, b"nonsense").unwrap();
        end(first);
        assert_eq!(store(&scratch).look(), []);
    }
    assert_eq!(names(&scratch).iter().filter(|name| name.ends_with(".corrupt")).count(), MOST_DAMAGED);
}

#[test]
fn a_file_of_a_later_version_is_left_alone_and_said_once() {
    let scratch = Scratch::new();
    let mut first = store(&scratch);
    let (old, new) = (put(&mut first, "old"), put(&mut first, "new"));
    fs::write(&new.path, file::of_a_later_version(&fs::read(&new.path).unwrap())).unwrap();
    end(first);
    let mut second = store(&scratch);
    let found = second.look();
    assert_eq!((found.len(), second.notes.len()), (1, 1), "{:?}", second.notes);
    let content = second.load(&old.path).unwrap();
    second.remove(&content.path, old.bytes);
    assert!(new.path.exists());
    second.close();
    let mut third = store(&scratch);
    assert_eq!((third.look().len(), third.look().len(), third.notes.len()), (0, 0, 1), "{:?}", third.notes);
    assert!(new.path.exists());
}

#[test]
fn a_directory_that_is_removed_meanwhile_is_made_again() {
    let scratch = Scratch::new();
    let mut store = store(&scratch);
    let filed = put(&mut store, "a");
    fs::remove_dir_all(filed.path.parent().unwrap()).unwrap();
    assert!(matches!(store.load(&filed.path), Err(Unread::Lost(_))));
    let filed = put(&mut store, "b");
    assert_eq!(text(store.load(&filed.path).unwrap()), "b");
}

/// The new name was there, and what followed failed: it is asked for by the old one.
#[test]
fn a_file_that_could_not_be_read_just_after_it_was_renamed_is_read_later() {
    let scratch = Scratch::new();
    let mut store = store(&scratch);
    let filed = put(&mut store, "a");
    let named = filed.path.with_extension(TRIED);
    fs::rename(&filed.path, &named).unwrap();
    let bytes = fs::read(&named).unwrap();
    fs::remove_file(&named).unwrap();
    fs::create_dir(&named).unwrap();
    assert!(matches!(store.load(&filed.path), Err(Unread::Failed(_))), "nothing that can be read");
    fs::remove_dir(&named).unwrap();
    fs::write(&named, bytes).unwrap();
    let content = store.load(&filed.path).unwrap();
    assert_eq!(content.path, named);
    assert_eq!(text(content), "a");
}

#[test]
fn a_place_that_cannot_be_is_an_error_with_its_path() {
    let scratch = Scratch::new();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Place::prepare(&file.join("spool"), 1, Protocol::Rest, "key").unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

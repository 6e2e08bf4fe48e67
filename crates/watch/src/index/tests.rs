use testsmith_domain::ContentHash;

use super::*;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn stamp(size: u64) -> FileStamp {
    FileStamp {
        size,
        mtime_ns: 1,
        ctime_ns: 2,
        inode: 3,
        hash: ContentHash::of(&size.to_be_bytes()),
    }
}

#[test]
fn files_are_found_again() {
    let mut index = Index::new(vec![(path("a/y.go"), stamp(1)), (path("x.go"), stamp(2))]);
    index.set(&path("a/b/z.go"), stamp(3));
    index.set(&path("a/y.go"), stamp(4));
    assert_eq!(index.files(), 3);
    assert_eq!(index.get(&path("a/y.go")), Some(&stamp(4)));
    assert_eq!(index.get(&path("x.go")), Some(&stamp(2)));
    assert_eq!(index.get(&path("a/x.go")), None);
    index.remove(&path("a/b/z.go"));
    assert!(index.folder("a/b").is_none());
    assert_eq!(index.files(), 2);
}

#[test]
fn below_takes_whole_names() {
    let mut index = Index::default();
    for name in ["a/f", "a/b/f", "a-b/f", "a.b/f", "ab/f", "f"] {
        index.set(&path(name), stamp(1));
    }
    let below: Vec<_> = index.below("a").into_iter().map(String::from).collect();
    assert_eq!(below, ["a", "a/b"]);
    assert_eq!(index.below("").len(), 6);
    assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a/b", "a", ""]);
    assert_eq!(parents("").count(), 0);
}

#[test]
fn a_folder_stays_until_its_files_are_told_of() {
    let mut index = Index::new(vec![(path("a/f.go"), stamp(1))]);
    let rules = Arc::new(Rules::empty());
    index.keep("a", Arc::clone(&rules), Cover::Watch, 1);
    index.keep("b", Arc::clone(&rules), Cover::None, 1);
    index.keep("c", rules, Cover::Shared, 1);
    let coverage = Coverage {
        watched: 1,
        unwatched: 1,
        shared: 1,
    };
    assert_eq!(index.coverage(), coverage);
    assert_eq!((coverage.polled(), coverage.folders()), (2, 3));
    assert_eq!(index.polled(), ["b".into(), "c".into()]);
    assert_eq!(index.drop_folder("b"), (false, Vec::new()));
    assert_eq!(index.drop_folder("c"), (true, Vec::new()));
    assert_eq!(index.drop_folder("a"), (true, vec![path("a/f.go")]));
    assert_eq!(index.coverage(), Coverage::default());
    assert!(index.contains(&path("a/f.go")));
    index.remove(&path("a/f.go"));
    assert!(index.folder("a").is_none());
}

proptest::proptest! {
    #[test]
    fn it_is_a_map(
        steps in proptest::collection::vec(("[ab]{0,2}", "[a-cé]{1,3}", 0u64..4), 0..200)
    ) {
        let mut index = Index::default();
        let mut model = BTreeMap::new();
        for (dir, name, size) in steps {
            let Some(path) = join(&dir, &name) else { continue };
            if size == 0 {
                index.remove(&path);
                model.remove(&path);
            } else {
                index.set(&path, stamp(size));
                model.insert(path, stamp(size));
            }
        }
        proptest::prop_assert_eq!(index.files(), model.len());
        for (path, stamp) in &model {
            proptest::prop_assert_eq!(index.get(path), Some(stamp));
        }
        for dir in index.below("") {
            let files = index.folder(&dir).unwrap().files();
            let names: Vec<_> = files.map(|(name, _)| name).collect();
            proptest::prop_assert!(names.is_sorted() && !names.is_empty());
        }
    }
}

use super::{Limits, split_evenly};

#[test]
fn splits_are_even_and_lose_nobody() {
    for count in 0..20 {
        let members: Vec<usize> = (0..count).collect();
        for parts in 0..25 {
            let split = split_evenly(&members, parts);
            assert_eq!(split.concat(), members);
            assert!(split.iter().all(|part| !part.is_empty()));
            let sizes = || split.iter().map(Vec::len);
            let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
            assert!(most - least <= 1, "{split:?}");
            assert_eq!(split.len(), parts.max(1).min(count));
        }
    }
}

#[test]
fn as_few_parts_as_the_model_s_limit_allows() {
    let limits = Limits {
        per_member: 1500,
        per_answer: 4096,
    };
    let parts: Vec<usize> = (0..6).map(|members| limits.parts(members)).collect();
    assert_eq!(parts, [0, 1, 1, 2, 2, 3]);
    let tiny = Limits {
        per_member: 1500,
        per_answer: 1000,
    };
    assert_eq!(tiny.parts(3), 3);
}

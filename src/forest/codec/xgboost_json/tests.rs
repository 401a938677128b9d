use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Two trees over `a`, `b` (numeric) and `c` (categorical), written by XGBoost 3.2.0.
const CATEGORICAL: &str = include_str!("../../../../tests/fixtures/xgboost_categorical.json");

/// A model of one tree: a split on feature 0 with an unused node 3 and children out of order.
fn small() -> Value {
    json!({"learner": {
        "feature_names": ["a"], "feature_types": ["float"],
        "gradient_booster": {"name": "gbtree", "model": {
            "gbtree_model_param": {"num_trees": "1", "num_parallel_tree": "1"},
            "tree_info": [0],
            "trees": [{
                "id": 0, "left_children": [4, -1, -1, -1, -1], "right_children": [2, -1, -1, -1, -1],
                "split_indices": [0, 0, 0, 2_147_483_647, 0], "split_conditions": [0.5, 9.0, 3.0, 9.0, -1.0],
                "default_left": [1, 0, 0, 0, 0], "sum_hessian": [4.0, 0.0, 1.0, 0.0, 3.0],
                "loss_changes": [7.0, 0.0, 0.0, 0.0, 0.0], "base_weights": [0.1, 0.0, 0.0, 0.0, 0.0],
            }],
        }},
        "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "1", "num_target": "1"},
        "objective": {"name": "reg:squarederror"},
    }, "version": [3, 2, 0]})
}

/// The small model with the value at `path` replaced.
fn with(path: &str, value: Value) -> Result<Model, DecodeError> {
    let mut model = small();
    *model.pointer_mut(path).expect("a path of the model") = value;
    decode(model.to_string().as_bytes())
}

const TREE: &str = "/learner/gradient_booster/model/trees/0";

#[test]
fn a_real_model_is_read_to_the_last_node() {
    let model = decode(CATEGORICAL.as_bytes()).expect("XGBoost wrote it");
    assert_eq!(model.feature_names, ["a", "b", "c"]);
    assert_eq!(model.categorical, [false, false, true]);
    let Ensemble { n_features, combine, base_score, link, trees } = model.ensemble;
    assert_eq!((n_features, combine, base_score, link), (3, Combine::Sum, 0.704_506_16, Link::Identity));
    let tree = &trees[0];
    assert_eq!((trees.len(), tree.len()), (2, 15));
    assert_eq!(tree.categories, [(0, vec![0, 2, 3, 4, 6, 7])]);
    assert_eq!((tree.feature[0], tree.threshold[0], tree.default_left[0]), (2, 0.0, true));
    assert_eq!((tree.feature[1], tree.threshold[1], tree.default_left[1]), (1, 5.431_808_5E-3, false));
    assert_eq!((tree.left[1], tree.right[1]), (3, 4));
    assert_eq!((tree.cover[0], tree.gain[1]), (400.0, 82.124_22));
    assert!(tree.is_leaf(7));
    assert_eq!((tree.value[7], tree.cover[7]), (f64::from(-7.688_523E-2_f32), 20.0));
}

#[test]
fn deleted_nodes_go_and_inner_values_are_means_by_cover() {
    let tree =
        with(TREE, small().pointer(TREE).cloned().expect("there")).expect("valid").ensemble.trees.remove(0);
    assert_eq!((&tree.left[..], &tree.right[..]), (&[2, LEAF, LEAF][..], &[1, LEAF, LEAF][..]));
    assert_eq!(tree.value, [0.0, 3.0, -1.0]);
    assert_eq!(tree.threshold, [0.5, 0.0, 0.0]);
}

#[test]
fn thresholds_are_rounded_once() {
    // Just above the middle of 1 and its successor in f32, by less than an f64 can tell.
    let text = "1.00000005960464477539062500001";
    assert_eq!(text.parse::<f64>().map(|x| x as f32), Ok(1.0), "the detour over f64 loses it");
    let model = small().to_string().replacen("[0.5,", &format!("[{text},"), 1);
    let model = decode(model.as_bytes()).expect("valid");
    assert_eq!(model.ensemble.trees[0].threshold[0], 1.0_f32.next_up());
}

#[test]
fn a_logistic_model_starts_from_the_logit_of_its_base_score() {
    let mut model = small();
    model["learner"]["objective"]["name"] = json!("binary:logistic");
    model["learner"]["learner_model_param"]["base_score"] = json!("[2.5E-1]");
    let ensemble = decode(model.to_string().as_bytes()).expect("valid").ensemble;
    assert_eq!((ensemble.link, ensemble.base_score), (Link::Logistic, -(3.0_f32.ln())));
    model["learner"]["learner_model_param"]["base_score"] = json!("1E0");
    assert!(matches!(decode(model.to_string().as_bytes()), Err(DecodeError::Invalid("base_score"))));
}

#[test]
fn models_of_other_kinds_are_refused_by_name() {
    let cases = [
        ("/learner/objective/name", json!("multi:softprob"), "objective multi:softprob"),
        ("/learner/gradient_booster/name", json!("dart"), "booster dart"),
        ("/learner/gradient_booster", json!({"name": "gblinear", "model": null}), "booster gblinear"),
        ("/learner/learner_model_param/num_class", json!("3"), "more than one output"),
        ("/learner/learner_model_param/num_target", json!("2"), "more than one output"),
        ("/learner/gradient_booster/model/tree_info", json!([1]), "more than one output"),
    ];
    for (path, value, what) in cases {
        let error = with(path, value).expect_err(what);
        assert!(matches!(&error, DecodeError::Unsupported(text) if text == what), "{path}: {error}");
    }
}

#[test]
fn contradictions_are_errors() {
    let head = [
        ("/learner/learner_model_param/base_score", json!("[1E0,2E0]")),
        ("/learner/learner_model_param/base_score", json!("inf")),
        ("/learner/learner_model_param/num_feature", json!("-1")),
        ("/learner/learner_model_param/num_feature", json!("2")),
        ("/learner/gradient_booster/model/gbtree_model_param/num_trees", json!("2")),
    ];
    for (path, value) in head {
        let text = value.to_string();
        assert!(matches!(with(path, value), Err(DecodeError::Invalid(_))), "{path} {text}");
    }
    let tree = [
        ("id", json!(1), "trees out of order"),
        ("left_children", json!([0, -1, -1, -1, -1]), "a node with two parents"),
        ("left_children", json!([2, -1, -1, -1, -1]), "a node with two parents"),
        ("left_children", json!([5, -1, -1, -1, -1]), "a child that does not exist"),
        ("left_children", json!([-1, -1, -1, -1, -1]), "a child that does not exist"),
        ("left_children", json!([-2, -1, -1, -1, -1]), "a child that does not exist"),
        ("left_children", json!([1]), "lists of different lengths"),
        ("split_indices", json!([1, 0, 0, 0, 0]), "a feature that the model does not have"),
        ("sum_hessian", json!([4, 0, -1, 0, 3]), "a negative cover"),
        ("default_left", json!([]), "lists of different lengths"),
    ];
    for (key, value, reason) in tree {
        let error = with(&format!("{TREE}/{key}"), value).expect_err(reason);
        assert!(
            matches!(error, DecodeError::InvalidTree { tree: 0, reason: r } if r == reason),
            "{key}: {error}"
        );
    }
}

#[test]
fn numbers_beyond_f32_are_errors() {
    for number in ["1e39", "-1e39", "1e999", "Infinity", "nan"] {
        let model = small().to_string().replacen("[0.5,", &format!("[{number},"), 1);
        assert!(matches!(decode(model.as_bytes()), Err(DecodeError::Json(_))), "{number}");
    }
}

#[test]
fn a_nan_stands_for_the_threshold_of_a_categorical_split_and_for_nothing_else() {
    // As XGBoost 2.x writes the fixture.
    let old = CATEGORICAL.replace("[1E-45,", "[NaN,").replacen(r#""a","b""#, r#""NaN","\"NaN,""#, 1);
    let model = decode(old.as_bytes()).expect("valid");
    assert_eq!(model.feature_names, ["NaN", "\"NaN,", "c"]);
    assert_eq!(model.ensemble, decode(CATEGORICAL.as_bytes()).expect("valid").ensemble);

    let threshold = small().to_string().replacen("[0.5,", "[NaN,", 1);
    assert!(matches!(decode(threshold.as_bytes()), Err(DecodeError::InvalidTree { .. })));
    let cover = small().to_string().replacen(r#""sum_hessian":[4.0"#, r#""sum_hessian":[NaN"#, 1);
    assert!(matches!(decode(cover.as_bytes()), Err(DecodeError::Json(_))));
}

#[test]
fn category_sets_must_fit_their_splits() {
    let categorical = |split_type: Value, nodes: Value, segments: Value, sizes: Value, codes: Value| {
        let mut model = small();
        let tree = model.pointer_mut(TREE).expect("there");
        tree["split_type"] = split_type;
        tree["categories_nodes"] = nodes;
        tree["categories_segments"] = segments;
        tree["categories_sizes"] = sizes;
        tree["categories"] = codes;
        decode(model.to_string().as_bytes())
    };
    let at_root = || json!([1, 0, 0, 0, 0]);
    let model = categorical(at_root(), json!([0]), json!([0]), json!([2]), json!([5, 2])).expect("valid");
    assert_eq!(model.ensemble.trees[0].categories, [(0, vec![2, 5])]);
    let wrong = [
        (json!([0, 0, 0, 0, 0]), json!([0]), json!([0]), json!([1]), json!([2])),
        (at_root(), json!([]), json!([]), json!([]), json!([])),
        (at_root(), json!([0]), json!([0]), json!([0]), json!([])),
        (at_root(), json!([0]), json!([1]), json!([1]), json!([2])),
        (at_root(), json!([0]), json!([u64::MAX]), json!([2]), json!([2])),
        (at_root(), json!([0]), json!([0]), json!([1]), json!([1 << 24])),
        (at_root(), json!([99]), json!([0]), json!([1]), json!([2])),
        (at_root(), json!([0, 0]), json!([0, 0]), json!([1, 1]), json!([2])),
        (at_root(), json!([0]), json!([0]), json!([]), json!([2])),
    ];
    for (split_type, nodes, segments, sizes, codes) in wrong {
        let case = format!("{nodes} {segments} {sizes} {codes}");
        let result = categorical(split_type, nodes, segments, sizes, codes);
        assert!(matches!(result, Err(DecodeError::InvalidTree { .. })), "{case}");
    }
}

/// What every reader of an ensemble relies on.
fn assert_well_formed(ensemble: &Ensemble) {
    assert!(ensemble.base_score.is_finite());
    for tree in &ensemble.trees {
        let mut parents = vec![0; tree.len()];
        let lengths = [
            tree.feature.len(),
            tree.threshold.len(),
            tree.right.len(),
            tree.default_left.len(),
            tree.value.len(),
            tree.cover.len(),
            tree.gain.len(),
        ];
        assert_eq!(lengths, [tree.len(); 7]);
        for i in 0..tree.len() {
            if tree.is_leaf(i) {
                assert_eq!(tree.right[i], LEAF);
            } else {
                assert!((tree.feature[i] as usize) < ensemble.n_features);
                parents[tree.left[i] as usize] += 1;
                parents[tree.right[i] as usize] += 1;
            }
            assert!(tree.threshold[i].is_finite() && tree.value[i].is_finite());
        }
        assert!(parents[0] == 0 && parents[1..].iter().all(|&p| p == 1), "{parents:?}");
        for (node, codes) in &tree.categories {
            assert!(!tree.is_leaf(*node as usize));
            assert!(!codes.is_empty() && codes.is_sorted());
        }
        assert!(tree.categories.is_sorted_by(|a, b| a.0 < b.0));
    }
}

/// Pointers to all scalars below `value`.
fn scalars(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| scalars(v, &format!("{path}/{k}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| scalars(v, &format!("{path}/{i}"), found))
        }
        _ => found.push(path.to_owned()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = CATEGORICAL.as_bytes().to_vec();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(model) = decode(&bytes) {
            assert_well_formed(&model.ensemble);
        }
    }

    #[test]
    fn no_number_makes_it_panic_or_builds_a_broken_tree(
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            (-3_i64..20).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            (-3_i64..20).prop_map(|i| Value::from(i.to_string())),
        ]), 1..4),
    ) {
        let mut model: Value = serde_json::from_str(CATEGORICAL).expect("a fixture");
        let mut paths = Vec::new();
        scalars(&model, "", &mut paths);
        for (at, value) in edits {
            *model.pointer_mut(&paths[at.index(paths.len())]).expect("a path of the model") = value;
        }
        if let Ok(model) = decode(model.to_string().as_bytes()) {
            assert_well_formed(&model.ensemble);
        }
    }

    #[test]
    fn a_model_that_breaks_off_is_an_error(length in 0..CATEGORICAL.len() - 1) {
        prop_assert!(decode(&CATEGORICAL.as_bytes()[..length]).is_err());
    }
}

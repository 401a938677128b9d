//! MLflow's aliases and tags follow the registry's.

use binah_ml::tracking::{AliasState, Pair, TrackerConfig, TrainingRun, VersionState};
use futures::future::join_all;
use reqwest::Url;
use uuid::Uuid;

use super::{namespaces::tracker, training};

/// The outbox brings a new version's aliases while an administrator sets one: MLflow refuses the later of two calls that
/// add the same tag.
#[tokio::test]
async fn whoever_follows_at_the_same_time_does_not_fail() {
    for uri in super::uris().await {
        let tracker = super::tracker(&uri);
        let run = training();
        let tracked = tracker.log(&run).await.expect("logs");
        let tag = |i| Pair::new(format!("tag-{i}"), "there");
        let state = AliasState {
            tenant_id: run.tenant_id.clone(),
            model_type: run.model_type.clone(),
            aliases: vec![("blue".into(), Some("1".into()))],
            versions: vec![VersionState {
                version: tracked.registered_version.clone(),
                run_id: Some(tracked.run_id.clone()),
                tags: (0..10).map(tag).collect(),
            }],
        };
        for follows in join_all((0..8).map(|_| tracker.follow_aliases(&state))).await {
            assert!(follows.expect("the later one sets it as well"));
        }
        let version = tracker.client().model_version(&tracked.registered_model, "1").await.expect("is there");
        assert!((0..10).all(|i| version.tags.contains(&tag(i))), "{version:?}");
    }
}

/// Version 1 of the new name is not version 1 of the old one.
#[tokio::test]
async fn aliases_do_not_follow_a_number_into_another_name() {
    for uri in super::uris().await {
        let uri: &Url = &uri;
        let before = super::tracker(uri);
        let after = tracker(uri.as_str().trim_end_matches('/'), |config| TrackerConfig {
            model_name: "{model_type}.{tenant_id}".into(),
            ..config
        });
        let first = training();
        let second =
            TrainingRun { job_id: Uuid::new_v4(), run_name: "second".into(), version: 2, ..first.clone() };
        let first = before.log(&first).await.expect("logs");
        let state = |aliases: &[(&str, &str)]| AliasState {
            tenant_id: second.tenant_id.clone(),
            model_type: second.model_type.clone(),
            aliases: aliases.iter().map(|(a, v)| ((*a).into(), Some((*v).into()))).collect(),
            versions: vec![VersionState {
                version: first.registered_version.clone(),
                run_id: Some(first.run_id.clone()),
                tags: vec![Pair::new("state", "ready")],
            }],
        };
        let champion = state(&[("champion", "1")]);
        assert!(before.follow_aliases(&champion).await.expect("follows"));
        assert!(!after.follow_aliases(&champion).await.expect("nothing is there"));

        let tracked = after.log(&second).await.expect("logs");
        assert_eq!(tracked.registered_version, first.registered_version);
        let client = after.client();
        client.set_alias(&tracked.registered_model, "champion", "1").await.expect("sets the alias");
        assert!(!after.follow_aliases(&champion).await.expect("looks"));
        let model = client.registered_model(&tracked.registered_model).await.expect("is there");
        assert!(model.aliases.is_empty(), "the champion is not here: {model:?}");
        let version = client.model_version(&tracked.registered_model, "1").await.expect("is there");
        assert!(version.tags.iter().all(|tag| tag.key != "state"), "{version:?}");
    }
}

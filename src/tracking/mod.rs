//! Speaks to MLflow, alone: a finished training becomes a run, a model folder and a registered
//! version, over REST and without Python.
//!
//! # The steps of [`Tracker::log`]
//! In the tenant's [`Namespace`], which is a workspace of its own or names that carry the tenant:
//! 1. [`open`](Namespace::open): the tenant's experiment (found, restored or created), then the
//!    run with the tag [`JOB_TAG`] (found or created).
//! 2. [`log_values`](Namespace::log_values): params, metrics, curves by step, tags, note, data set.
//! 3. [`upload`](Namespace::upload): the files, then `model/` with `MLmodel` last.
//! 4. [`describe`](Namespace::describe): the tag that marks the folder as a model.
//! 5. [`register`](Namespace::register): registered model and the version with this run's id.
//! 6. [`finish`](Namespace::finish): FINISHED, which says that 1-5 are done.
//!
//! Every step may be run again. What MLflow would make twice (run, version) is
//! searched for first; all else overwrites itself with equal values, which is why times and the
//! model's uuid come from the [`TrainingRun`], never from the clock.
//!
//! Aliases and version tags are no step of a run: [`Tracker::follow_aliases`] brings them to a given state
//! at any time.
//!
//! A [`TrainingRun`] can be [packed](TrainingRun::pack) into JSON and files, to be logged later or by
//! another process; a [`Watch`] is asked before each step. A run that was begun gets the files that it
//! lacks.
//!
//! # One more flavor
//! Add a variant to [`Flavor`] with its file, its entry in `MLmodel`, its Python loader if it has
//! one, and its requirements. Several flavors share one folder.
//!
//! # Traps that are handled here
//! * A default server keeps files in a folder of its own; an upload then answers 200 and is lost.
//!   Experiments are created with a proxied `artifact_location`; one that has another place has one
//!   beside it ([`client`], experiments). With workspaces the server refuses the location, and the
//!   workspace is made with a proxied root.
//! * MLflow 2 ignores the header that names a workspace, and answers as if all were well.
//! * Non-finite metrics must be the texts `"NaN"`, `"Infinity"`, `"-Infinity"`; params must be
//!   text. Anything else loses data with status 200.
//! * 400 with `BAD_REQUEST` is the server's exhausted database pool, and passes; 400 with another
//!   code does not. "Exists already" is a 400 as well.
//! * `--allowed-hosts` of MLflow 3: [`TrackingError::HostRefused`] says what to set.
//! * A deleted experiment is found by name, and refuses runs until it is restored.

mod aliases;
pub mod client;
mod error;
mod model_folder;
mod namespace;
mod numbers;
mod run;
mod steps;
mod tracker;
mod unfinished;

pub use aliases::{AliasState, VersionState};
pub use client::{ArtifactFile, ClientConfig, Dataset, DatasetColumn, Pair, RetryPolicy};
pub use error::{Outlook, TrackingError};
pub use model_folder::{Feature, FeatureKind, Flavor, Folder, MODEL_FOLDER, ModelFolder, RenderedFolder};
pub use namespace::Namespace;
pub use run::{JOB_TAG, PackedRun, Tracked, TrainingRun};
pub use tracker::{Step, Tracker, TrackerConfig, Watch};
pub use unfinished::UnfinishedRun;

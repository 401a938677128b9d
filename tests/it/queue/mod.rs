//! The queue of trainings against a model of it: random operations, alone and at the same time, and after each
//! one every row is as the model has it. What is done at once must have come to the same as one after the other.

mod cases;
mod model;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use binah_ml::jobs::{Beat, JobState, Limits};
use futures::future::join_all;
use proptest::{collection::vec, option, prelude::*, sample::Index, test_runner::TestRunner};
use tokio::runtime::Runtime;

use self::{
    model::{Answer, Model, Op, Order},
    world::{Told, World, tenant_of},
};

const STEPS: usize = 50;
const LIMITS: Limits = Limits {
    queued: 1_000,
    queued_by_tenant: 4,
    running_by_tenant: 2,
    attempts: 3,
    // Leases run out when the test says so.
    lease: std::time::Duration::from_secs(3600),
};

/// What is done next; on which claim or job is found when it is known which there are.
#[derive(Debug, Clone)]
enum Step {
    One(Kind, Order, Target),
    /// At the same time, and all on the same job, but for what queues or claims one.
    Race(Vec<(Kind, Order)>, Target),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Enqueue,
    Claim,
    Beat,
    Checkpoint,
    Register,
    Complete,
    Fail,
    Stop,
    HandBack,
    Postpone,
    Cancel,
    Expire,
    Reap,
    TimePasses,
}

#[derive(Debug, Clone)]
struct Target {
    index: Index,
    /// Among the claims that hold, instead of all that ever were.
    holds: bool,
}

fn order() -> impl Strategy<Value = Order> {
    let priority = prop_oneof![4 => Just(0), 2 => -1..=1_i16, 1 => Just(i16::MIN), 1 => Just(i16::MAX)];
    let key = option::weighted(0.3, 0..2_u8);
    (0..3_usize, 0..2_usize, priority, key, 0..2_u8, any::<bool>()).prop_map(
        |(tenant, model_type, priority, key, request, rows)| Order {
            tenant,
            model_type,
            priority,
            key,
            request,
            rows,
        },
    )
}

fn target() -> impl Strategy<Value = Target> {
    (any::<Index>(), prop::bool::weighted(0.7)).prop_map(|(index, holds)| Target { index, holds })
}

/// `races`: also several at the same time.
fn step(races: bool) -> impl Strategy<Value = Step> {
    use Kind::{
        Beat, Cancel, Checkpoint, Claim, Complete, Enqueue, Expire, Fail, HandBack, Postpone, Reap, Register,
        Stop, TimePasses,
    };
    let kind = prop_oneof![
        12 => Just(Enqueue), 8 => Just(Claim), 2 => Just(Beat), 3 => Just(Checkpoint), 2 => Just(Register),
        1 => Just(Complete), 1 => Just(Fail), 1 => Just(Stop), 3 => Just(HandBack), 3 => Just(Postpone),
        4 => Just(Cancel), 4 => Just(Expire), 3 => Just(Reap), 2 => Just(TimePasses),
    ];
    // Reaping leaves out rows that somebody else holds; it is not for races.
    let racing = prop_oneof![
        2 => Just(Enqueue), 4 => Just(Claim), 1 => Just(Register), 1 => Just(Complete), 1 => Just(Fail),
        1 => Just(Stop), 2 => Just(HandBack), 2 => Just(Cancel),
    ];
    let twins = order().prop_map(|order| vec![(Enqueue, order.clone()), (Enqueue, order)]);
    prop_oneof![
        5 => (kind, order(), target()).prop_map(|(kind, order, target)| Step::One(kind, order, target)),
        2 * u32::from(races) => (vec((racing, order()), 2..=3), target()).prop_map(|(kinds, target)| Step::Race(kinds, target)),
        u32::from(races) => (twins, target()).prop_map(|(kinds, target)| Step::Race(kinds, target)),
    ]
}

struct Case<'a> {
    world: &'a mut World,
    model: Model,
}

impl Case<'_> {
    async fn step(&mut self, step: Step) {
        match step {
            Step::One(kind, order, target) => {
                if let Some(op) = self.op(kind, order, &target) {
                    self.one(&op).await;
                }
            }
            Step::Race(kinds, target) => {
                let ops: Vec<Op> =
                    kinds.into_iter().filter_map(|(kind, order)| self.op(kind, order, &target)).collect();
                self.race(&ops).await;
            }
        }
        self.model.check();
    }

    /// `None` if there is nothing yet to do it to.
    fn op(&self, kind: Kind, order: Order, target: &Target) -> Option<Op> {
        let model = &self.model;
        let holds = |&claim: &usize| {
            let claimed = model.claims[claim];
            let job = &model.jobs[claimed.job];
            (job.state, job.fence) == (JobState::Training, claimed.fence)
        };
        let mut claims: Vec<usize> = (0..model.claims.len()).collect();
        if target.holds {
            claims.retain(holds);
        }
        let claim = || (!claims.is_empty()).then(|| *target.index.get(&claims));
        let claimed_job = || claim().map(|claim| model.claims[claim].job);
        let any_job = || (!model.jobs.is_empty()).then(|| target.index.index(model.jobs.len()));
        Some(match kind {
            Kind::Enqueue => Op::Enqueue(order),
            Kind::Claim => Op::Claim,
            Kind::Beat => Op::Beat(claim()?),
            Kind::Checkpoint => Op::Checkpoint(claim()?),
            Kind::Register => Op::Register(claim()?),
            Kind::Complete => Op::Complete(claim()?),
            Kind::Fail => Op::Fail(claim()?),
            Kind::Stop => Op::Stop(claim()?),
            Kind::HandBack => Op::HandBack(claim()?),
            Kind::Postpone => Op::Postpone(claim()?),
            Kind::Cancel => Op::Cancel(claimed_job().or_else(any_job)?),
            Kind::Expire => Op::Expire(claimed_job()?),
            Kind::Reap => Op::Reap,
            Kind::TimePasses => Op::TimePasses,
        })
    }

    async fn one(&mut self, op: &Op) -> Answer {
        let before = self.world.everything().await;
        let told = self.world.run(op).await;
        let answer = self.model.apply(op);
        let mut ids = self.ids();
        assert!(self.world.agrees(&told, &answer, &mut ids), "{op:?}: {told:?} should be {answer:?}");
        self.adopt(vec![told], ids).await;
        self.hold_pauses(op, &answer).await;
        let difference = self.world.difference(&self.model.jobs, &self.ids()).await;
        assert_eq!(difference, None, "after {op:?}");
        assert_eq!(self.world.turns().await, self.model.turns(), "after {op:?}");
        if let Answer::Queued { created: true, .. } = answer {
            assert_eq!(self.world.ranks().await.last(), self.world.ids.last(), "the newest is the last");
        }
        if changes_nothing(&answer) {
            assert_eq!(self.world.everything().await, before, "{op:?} has changed something");
        }
        answer
    }

    /// The pauses that the operation began: they double with each attempt.
    async fn hold_pauses(&self, op: &Op, answer: &Answer) {
        let begun: Vec<(usize, i32)> = match (op, answer) {
            (Op::Postpone(claim), Answer::Held(true)) => vec![(self.model.claims[*claim].job, 1)],
            // After the first loss there is none.
            (_, Answer::Reaped(reaped)) => reaped.iter().map(|&(job, _)| (job, 2)).collect(),
            _ => vec![],
        };
        for (index, after) in begun {
            let job = &self.model.jobs[index];
            if job.state == JobState::Queued && job.paused {
                self.world.hold_pause(index, 2_f64.powi(job.attempts as i32 - after)).await;
            }
        }
    }

    /// Some order of the operations must give the same answers and the same rows. A claim passes over a job that
    /// another operation has locked, if only to see that it comes too late.
    async fn race(&mut self, ops: &[Op]) {
        let told = join_all(ops.iter().map(|op| self.world.run(op))).await;
        let touched: BTreeSet<usize> = ops.iter().filter_map(|op| self.job_of(op)).collect();
        let claims: Vec<usize> = (0..ops.len()).filter(|&slot| ops[slot] == Op::Claim).collect();
        let mut tried = vec![];
        let passings = subsets(&claims);
        for (order, passing) in permutations(ops.len())
            .iter()
            .flat_map(|order| passings.iter().map(move |passing| (order, passing)))
        {
            let (mut model, mut ids) = (self.model.clone(), self.ids());
            let mut answer = |slot: &usize| {
                model.passed_over = if passing.contains(slot) { touched.clone() } else { BTreeSet::new() };
                model.apply(&ops[*slot])
            };
            let answers: Vec<Answer> = order.iter().map(&mut answer).collect();
            model.passed_over.clear();
            let mut pairs = order.iter().zip(&answers);
            if !pairs.all(|(&slot, answer)| self.world.agrees(&told[slot], answer, &mut ids)) {
                tried.push(format!("{order:?}, {passing:?} pass: {answers:?}"));
                continue;
            }
            if let Some(difference) = self.world.difference(&model.jobs, &ids).await {
                tried.push(format!("{order:?}, {passing:?} pass: {difference}"));
                continue;
            }
            self.model = model;
            // Several orders may explain the answers, and leave it open who was served last.
            self.model.adopt_turns(&self.world.turns().await);
            let mut told: Vec<_> = told.into_iter().map(Some).collect();
            self.adopt(order.iter().filter_map(|&slot| told[slot].take()).collect(), ids).await;
            return;
        }
        panic!("{ops:?} told {told:?}, which no order explains: {tried:#?}");
    }

    /// The job that an operation is about, if that is known before.
    fn job_of(&self, op: &Op) -> Option<usize> {
        match *op {
            Op::Enqueue(_) | Op::Claim | Op::Reap | Op::TimePasses => None,
            Op::Cancel(job) | Op::Expire(job) => Some(job),
            Op::Beat(claim)
            | Op::Checkpoint(claim)
            | Op::Register(claim)
            | Op::Complete(claim)
            | Op::Fail(claim)
            | Op::Stop(claim)
            | Op::HandBack(claim)
            | Op::Postpone(claim) => Some(self.model.claims[claim].job),
        }
    }

    fn ids(&self) -> BTreeMap<usize, uuid::Uuid> {
        self.world.ids.iter().copied().enumerate().collect()
    }

    /// Takes over what is known now: new jobs, new claims, the order of birth.
    async fn adopt(&mut self, told: Vec<Told>, ids: BTreeMap<usize, uuid::Uuid>) {
        self.world.ids = ids.into_values().collect();
        self.world.tenants = self.model.jobs.iter().map(|job| tenant_of(job.order.tenant)).collect();
        self.world.claims.extend(told.into_iter().filter_map(|told| match told {
            Told::Claimed(claim) => Some(claim),
            _ => None,
        }));
        for (rank, id) in self.world.ranks().await.into_iter().enumerate() {
            let job = self.world.ids.iter().position(|known| *known == id).expect("a job of the model");
            self.model.jobs[job].rank = rank;
        }
    }

    /// Until nothing waits or runs: each accepted job has come to one end.
    async fn drain(&mut self) {
        while self.model.jobs.iter().any(|job| !job.state.is_final()) {
            for job in 0..self.model.jobs.len() {
                if self.model.jobs[job].state == JobState::Training {
                    self.one(&Op::Expire(job)).await;
                }
            }
            self.one(&Op::Reap).await;
            self.one(&Op::TimePasses).await;
            while let Answer::Claimed(Some(claimed)) = self.one(&Op::Claim).await {
                let claim = self.model.claims.len() - 1;
                let stop = self.model.jobs[claimed.job].cancel_requested;
                self.one(&if stop { Op::Stop(claim) } else { Op::Register(claim) }).await;
            }
        }
        assert_eq!(self.world.files().await, 0, "files are left");
    }
}

/// Answers after which all must be as before.
fn changes_nothing(answer: &Answer) -> bool {
    match answer {
        Answer::Queued { created, .. } => !created,
        Answer::Held(held) => !held,
        Answer::Reaped(reaped) => reaped.is_empty(),
        Answer::Full
        | Answer::KeyReused
        | Answer::Claimed(None)
        | Answer::Beat(Beat::Lost | Beat::Ended)
        | Answer::LeaseLost
        | Answer::StopOrdered
        | Answer::Conflict => true,
        _ => false,
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let longer = |shorter: Vec<usize>| {
        (0..n).map(move |at| {
            let mut longer = shorter.clone();
            longer.insert(at, n - 1);
            longer
        })
    };
    permutations(n - 1).into_iter().flat_map(longer).collect()
}

/// The smallest first.
fn subsets(of: &[usize]) -> Vec<Vec<usize>> {
    let subset = |bits: usize| (0..of.len()).filter(|bit| bits >> bit & 1 == 1).map(|bit| of[bit]).collect();
    (0..1_usize << of.len()).map(subset).collect()
}

/// `PROPTEST_CASES` asks for more.
#[test]
fn the_queue_does_what_its_model_does() {
    run(false);
}

#[test]
fn the_queue_does_what_its_model_does_at_the_same_time() {
    run(true);
}

fn run(races: bool) {
    let runtime = Runtime::new().expect("a runtime");
    let cases = std::env::var("PROPTEST_CASES").map_or(12, |cases| cases.parse().expect("a number"));
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    };
    let world = tokio::sync::Mutex::new(runtime.block_on(World::new(LIMITS)));
    let case = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut world = world.lock().await;
            world.clear().await;
            let mut case = Case { world: &mut world, model: Model::new(LIMITS) };
            for step in steps {
                case.step(step).await;
            }
            case.drain().await;
        });
        Ok(())
    };
    TestRunner::new(config).run(&vec(step(races), STEPS), case).unwrap_or_else(|error| panic!("{error}"));
}

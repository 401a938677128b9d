//! The queue as a few lines of Rust, without SQL, clocks or concurrency: what the real one is held against.

use std::collections::{BTreeSet, HashMap};

use binah_ml::jobs::{Beat, JobState, Limits};

/// What somebody does to the queue. Claims are counted as they were made, lost ones included; jobs likewise.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Enqueue(Order),
    Claim,
    Beat(usize),
    Checkpoint(usize),
    /// With a model.
    Register(usize),
    /// Without one.
    Complete(usize),
    Fail(usize),
    /// The worker has heard of the order to stop.
    Stop(usize),
    HandBack(usize),
    Postpone(usize),
    /// Somebody wants the job cancelled.
    Cancel(usize),
    /// The lease of a running job runs out.
    Expire(usize),
    Reap,
    /// All pauses are over.
    TimePasses,
}

/// A job that is to be queued.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub tenant: usize,
    pub model_type: usize,
    pub priority: i16,
    pub key: Option<u8>,
    /// What the request says.
    pub request: u8,
    pub rows: bool,
}

/// What an operation answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Queued {
        job: usize,
        created: bool,
    },
    Full,
    KeyReused,
    Claimed(Option<Claimed>),
    Beat(Beat),
    /// Whether the claim held.
    Held(bool),
    Completed,
    LeaseLost,
    StopOrdered,
    State(JobState),
    /// The job has ended otherwise.
    Conflict,
    Reaped(BTreeSet<(usize, &'static str)>),
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claimed {
    pub job: usize,
    pub attempt: u32,
    pub fence: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub order: Order,
    pub state: JobState,
    pub attempts: u32,
    pub fence: i64,
    pub cancel_requested: bool,
    pub files: BTreeSet<&'static str>,
    pub has_model: bool,
    /// Claimed not before time passes.
    pub paused: bool,
    pub expired: bool,
    /// Since it was claimed.
    pub has_got_on: bool,
    /// How often that kept it from being given up.
    pub spared: u32,
    /// The smaller the older.
    pub rank: usize,
}

#[derive(Debug, Clone)]
pub struct Model {
    limits: Limits,
    pub jobs: Vec<Job>,
    pub claims: Vec<Claimed>,
    /// Jobs that a claim does not see: somebody else has their rows at that moment.
    pub passed_over: BTreeSet<usize>,
    /// When each tenant was served last.
    served: HashMap<usize, usize>,
    turn: usize,
}

impl Model {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            jobs: vec![],
            claims: vec![],
            passed_over: BTreeSet::new(),
            served: HashMap::new(),
            turn: 0,
        }
    }

    pub fn apply(&mut self, op: &Op) -> Answer {
        match *op {
            Op::Enqueue(ref order) => self.enqueue(order),
            Op::Claim => Answer::Claimed(self.claim()),
            Op::Beat(claim) => Answer::Beat(self.beat(claim)),
            Op::Checkpoint(claim) => Answer::Held(self.held(claim).is_some_and(|job| {
                job.files.insert("checkpoint/0000000000");
                job.has_got_on = true;
                true
            })),
            Op::Register(claim) | Op::Complete(claim) => {
                let with_model = matches!(op, Op::Register(_));
                match self.held(claim) {
                    None => Answer::LeaseLost,
                    Some(job) if job.cancel_requested => Answer::StopOrdered,
                    Some(job) => {
                        job.has_model = with_model;
                        job.end(JobState::Completed);
                        Answer::Completed
                    }
                }
            }
            Op::Fail(claim) => self.end(claim, JobState::Failed),
            Op::Stop(claim) => self.end(claim, JobState::Cancelled),
            Op::HandBack(claim) => self.release(claim, true),
            Op::Postpone(claim) if self.claims[claim].attempt < self.limits.attempts => {
                self.release(claim, false)
            }
            // As a worker does whose job has no attempt left.
            Op::Postpone(claim) => self.end(claim, JobState::Failed),
            Op::Cancel(job) => self.jobs[job].cancel(),
            Op::Expire(job) => {
                let job = &mut self.jobs[job];
                job.expired = job.state == JobState::Training;
                Answer::Nothing
            }
            Op::Reap => Answer::Reaped(self.reap()),
            Op::TimePasses => {
                self.jobs.iter_mut().for_each(|job| job.paused = false);
                Answer::Nothing
            }
        }
    }

    fn enqueue(&mut self, order: &Order) -> Answer {
        let of_key = self.jobs.iter().position(|job| {
            job.order.tenant == order.tenant && order.key.is_some() && job.order.key == order.key
        });
        if let Some(job) = of_key {
            let known = &self.jobs[job].order;
            let same = (known.request, known.rows) == (order.request, order.rows);
            return if same { Answer::Queued { job, created: false } } else { Answer::KeyReused };
        }
        if self.count(order.tenant, JobState::Queued) >= self.limits.queued_by_tenant {
            return Answer::Full;
        }
        let rank = self.jobs.len();
        self.jobs.push(Job {
            order: order.clone(),
            state: JobState::Queued,
            attempts: 0,
            fence: 0,
            cancel_requested: false,
            files: order.rows.then_some("rows").into_iter().collect(),
            has_model: false,
            paused: false,
            expired: false,
            has_got_on: false,
            spared: 0,
            rank,
        });
        Answer::Queued { job: rank, created: true }
    }

    fn claim(&mut self) -> Option<Claimed> {
        let mut tenants: Vec<usize> = self.jobs.iter().map(|job| job.order.tenant).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants.retain(|&tenant| self.count(tenant, JobState::Training) < self.limits.running_by_tenant);
        tenants.sort_by_key(|tenant| self.served.get(tenant).copied());
        let next = tenants.iter().find_map(|&tenant| self.next_of(tenant))?;
        self.turn += 1;
        self.served.insert(self.jobs[next].order.tenant, self.turn);
        let job = &mut self.jobs[next];
        job.become_state(JobState::Training);
        job.attempts += 1;
        job.fence += 1;
        job.has_got_on = false;
        let claimed = Claimed { job: next, attempt: job.attempts, fence: job.fence };
        self.claims.push(claimed);
        Some(claimed)
    }

    /// The job of a tenant that is next, if one may run.
    fn next_of(&self, tenant: usize) -> Option<usize> {
        let of_tenant = |job: &&Job| job.order.tenant == tenant;
        let busy: BTreeSet<usize> = self
            .jobs
            .iter()
            .filter(of_tenant)
            .filter(|job| job.state == JobState::Training)
            .map(|job| job.order.model_type)
            .collect();
        let free = |&index: &usize| {
            let job = &self.jobs[index];
            of_tenant(&job)
                && job.state == JobState::Queued
                && !job.paused
                && !self.passed_over.contains(&index)
                && !busy.contains(&job.order.model_type)
        };
        (0..self.jobs.len()).filter(free).min_by_key(|&index| {
            let job = &self.jobs[index];
            (-i32::from(job.order.priority), job.rank)
        })
    }

    fn beat(&mut self, claim: usize) -> Beat {
        let Claimed { job, fence, .. } = self.claims[claim];
        let ended = self.jobs[job].fence == fence && self.jobs[job].state.is_final();
        match self.held(claim) {
            Some(job) => {
                job.expired = false;
                if job.cancel_requested { Beat::CancelRequested } else { Beat::Kept }
            }
            None if ended => Beat::Ended,
            None => Beat::Lost,
        }
    }

    fn release(&mut self, claim: usize, handed_back: bool) -> Answer {
        let Some(job) = self.held(claim) else { return Answer::Held(false) };
        if job.cancel_requested {
            job.end(JobState::Cancelled);
            return Answer::Held(true);
        }
        job.become_state(JobState::Queued);
        job.fence += 1;
        job.attempts -= u32::from(handed_back);
        job.paused = !handed_back;
        Answer::Held(true)
    }

    fn end(&mut self, claim: usize, state: JobState) -> Answer {
        let held = self.held(claim);
        let holds = held.is_some();
        if let Some(job) = held {
            job.end(state);
        }
        Answer::Held(holds)
    }

    fn reap(&mut self) -> BTreeSet<(usize, &'static str)> {
        let attempts = self.limits.attempts;
        let lost = self.jobs.iter_mut().enumerate().filter(|(_, job)| job.expired);
        let reaped = lost.map(|(index, job)| {
            job.fence += 1;
            if job.cancel_requested {
                job.end(JobState::Cancelled);
            } else if job.attempts >= attempts && !job.has_got_on {
                job.end(JobState::Failed);
            } else {
                job.spared += u32::from(job.attempts >= attempts);
                job.become_state(JobState::Queued);
                job.paused = job.attempts > 1;
            }
            (index, job.state.name())
        });
        reaped.collect()
    }

    /// The job of a claim, if that still holds.
    fn held(&mut self, claim: usize) -> Option<&mut Job> {
        let Claimed { job, fence, .. } = self.claims[claim];
        let job = &mut self.jobs[job];
        (job.fence == fence && job.state == JobState::Training).then_some(job)
    }

    fn count(&self, tenant: usize, state: JobState) -> usize {
        self.jobs.iter().filter(|job| job.order.tenant == tenant && job.state == state).count()
    }

    /// Tenants that were ever served, first the one whose turn lies back the longest.
    pub fn turns(&self) -> Vec<usize> {
        let mut tenants: Vec<usize> = self.served.keys().copied().collect();
        tenants.sort_unstable_by_key(|tenant| self.served[tenant]);
        tenants
    }

    /// Takes over who was served in which order: of a race, the answers alone do not tell.
    pub fn adopt_turns(&mut self, tenants: &[usize]) {
        self.turn = tenants.len();
        self.served = tenants.iter().copied().zip(1..).collect();
    }

    /// What must hold whatever was done.
    pub fn check(&self) {
        for job in &self.jobs {
            assert!(job.attempts <= self.limits.attempts + job.spared, "{job:?}");
            assert!(!job.state.is_final() || job.files.is_empty(), "{job:?}");
            assert!(!(job.cancel_requested && job.has_model), "{job:?}");
        }
    }
}

impl Job {
    fn become_state(&mut self, state: JobState) {
        assert!(self.state.may_become(state), "{} may not become {state}", self.state);
        self.state = state;
        self.expired = false;
    }

    fn end(&mut self, state: JobState) {
        self.become_state(state);
        self.files.clear();
    }

    fn cancel(&mut self) -> Answer {
        match self.state {
            JobState::Completed | JobState::Failed => return Answer::Conflict,
            JobState::Cancelled => return Answer::State(JobState::Cancelled),
            JobState::Queued => self.end(JobState::Cancelled),
            JobState::Training => {}
        }
        self.cancel_requested = true;
        Answer::State(self.state)
    }
}

@0xb6c4a1d53f0e7a92;
# The protocol between the coordinator (ROUTER) and everybody else (DEALER): clients and workers.
#
# One ZeroMQ message is one frame behind the routing id: a Message in Cap'n Proto's plain stream form, at most
# limits::kMessageBytesMax bytes. A peer that gets a frame it cannot read counts it and drops it; one whose version or
# kind it does not know it answers with `refused` (code "invalid", or "unimplemented" for a kind it does not know).
# Evolution: fields and union members are appended, never renumbered or reused. A change that old peers would
# misunderstand raises protocolVersion.
#
# Clients ask and get one answer with the same requestId. Workers say `join`, then `heartbeat` within every third of
# the lease; all that they learn (ranks started and ended, logs, checkpoints, artifacts) goes as numbered reports, kept
# and sent again until `acknowledged`: a report counts once it is in the journal, not when it was sent.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("paddock::wire");

const protocolVersion :UInt16 = 1;

struct Message {
  version @0 :UInt16;
  requestId @1 :UInt64;      # chosen by the asker; 0 in messages that answer nothing
  union {
    refused @2 :Refusal;     # the answer to anything that failed

    # client → coordinator, and the answers
    submit @3 :Submit;
    submitted @4 :Submitted;
    plan @5 :Submit;
    planned @6 :Planned;
    statusRequest @7 :StatusRequest;
    status @8 :Status;
    logRequest @9 :LogRequest;
    logChunk @10 :LogChunk;
    cancel @11 :Cancel;
    done @12 :Void;
    nodesRequest @13 :Void;
    nodes @14 :List(Node);
    checkpointsRequest @15 :CheckpointsRequest;
    checkpoints @16 :List(Checkpoint);

    # worker → coordinator
    join @17 :Join;
    heartbeat @18 :Heartbeat;
    reports @19 :Reports;
    leave @20 :Leave;

    # coordinator → worker
    lease @21 :Lease;              # the answer to join and heartbeat
    acknowledged @22 :UInt64;      # all reports up to this number are durable
    startRanks @23 :StartRanks;
    endAttempt @24 :EndAttempt;
    logsTaken @25 :List(LogPosition);  # how far the logs of ranks have come; before the lease that answers a join, also
                                       # where to go on with each

    # client → coordinator, and the answers, of later
    why @26 :Why;
    reason @27 :Reason;
    retry @28 :Retry;               # answered by `submitted`
    drain @29 :Drain;               # answered by `done`
    resume @30 :Text;               # the node; answered by `done`
    tenantsRequest @31 :Void;
    tenants @32 :List(Tenant);
    setTenant @33 :Tenant;          # name, weight and the …Max; answered by `done`
    schedulesRequest @34 :Text;     # a schedule's name; "": all
    schedules @35 :List(Schedule);
    steerSchedule @36 :SteerSchedule;  # answered by `done`; runNow by `submitted`
    reserve @37 :Reserve;           # answered by `reservations`, with that one
    unreserve @38 :Text;            # the reservation; answered by `done`
    reservationsRequest @39 :Void;
    reservations @40 :List(Reservation);
  }
}

struct Refusal {
  code @0 :Text;             # base/result.h: invalid, not_found, conflict, fenced, unavailable, …; or unimplemented
  message @1 :Text;          # one sentence: what, where, what to do
}

struct Submit {
  spec @0 :Text;             # the YAML or JSON text
  file @1 :Text;             # where it came from, for messages
  token @2 :Text;            # drawn by the client: a submission sent twice is accepted once
  noCache @3 :Bool;          # runs every job though its result is there; as `cache: false` in each
}

struct Submitted {
  graph @0 :UInt64;          # 0: it is scheduled, or waits for the run before
  name @1 :Text;
  nextRun @2 :Text;          # of a schedule: when it runs next, "2026-11-28T02:00+01:00"; "": never
  isSchedule @3 :Bool;
}

struct Schedule {
  name @0 :Text;
  tenant @1 :Text;
  cron @2 :Text;
  tz @3 :Text;
  missed @4 :Text;           # skip, latest, all
  overlap @5 :Text;          # skip, queue, replace
  deadlineMs @6 :UInt64;     # 0: none
  paused @7 :Bool;
  nextUnixMs @8 :Int64;      # 0: never
  obstacle @9 :Text;         # why it does not run at all; "": it does
  runs @10 :UInt64;          # that were started
  passedOver @11 :UInt64;    # times that were not
  waiting @12 :List(Int64);  # times whose runs wait for the one before
  history @13 :List(Run);    # the newest, oldest first
  struct Run {
    timeUnixMs @0 :Int64;
    graph @1 :UInt64;        # 0: it was not run
    note @2 :Text;           # the state in which it ended; "": it goes; of one that was not run: why
    times @3 :UInt64;        # so many in a row were not run for that reason, `time` is the newest
  }
}

struct SteerSchedule {
  name @0 :Text;
  what @1 :Text;             # pause, resume, remove, runNow
  token @2 :Text;            # of runNow: as in Submit
}

struct Planned {
  jobs @0 :List(Job);
  struct Job {
    name @0 :Text;
    kind @1 :Text;
    needs @2 :List(Text);
    ranks @3 :UInt32;
    placement @4 :Text;      # "would run now on a, b", or why not
    cached @5 :Bool;         # the result is there already
    with @6 :Text;           # resolved options as JSON
  }
}

struct StatusRequest {
  graph @0 :UInt64;          # 0: all graphs, without their jobs
  limit @1 :UInt32;          # jobs at most; 0: 1000. There may be fewer though there are more: see `next`
  after @2 :Text;            # only jobs behind this name; as `next` said it
  state @3 :Text;            # only jobs in this state; "": all
  job @4 :Text;              # only this job; "": all
}

struct Status {
  graphs @0 :List(Graph);
  struct Graph {
    id @0 :UInt64;
    name @1 :Text;
    state @2 :Text;          # active, succeeded, failed, cancelled
    submittedUnixMs @3 :Int64;
    endedUnixMs @4 :Int64;   # 0: not yet
    jobs @5 :List(Job);
    tenant @6 :Text;         # who is charged
    counts @7 :List(Count);  # of all its jobs, by state
    next @8 :Text;           # not all jobs that were asked for are here: ask for those after this one. Then they are in
                             # the order of their names; else in that of the submission
    schedule @9 :Text;       # whose run it is; "": none's
  }
  struct Count { state @0 :Text; jobs @1 :UInt32; }
  struct Job {
    name @0 :Text;
    kind @1 :Text;
    state @2 :Text;          # waiting, preparing, queued, running, backing_off, succeeded, failed, cancelled, skipped
    reason @3 :Text;         # why it is in that state, in one sentence
    cached @4 :Bool;
    attempt @5 :UInt32;      # 0: none yet
    fence @6 :UInt64;
    nodes @7 :List(Text);    # by rank
    startedUnixMs @8 :Int64;
    endedUnixMs @9 :Int64;
    progress @10 :Text;      # the last progress report of rank 0, JSON as docs/rank-protocol.md says; "" if none
    artifacts @11 :List(Artifact);
    attempts @12 :List(Attempt);
  }
  struct Attempt {
    number @0 :UInt32;
    fence @1 :UInt64;
    outcome @2 :Text;        # running, succeeded, failed, timed_out, stopped (exit code 75), preempted, node_lost, cancelled
    reason @3 :Text;
    nodes @4 :List(Text);
    pids @5 :List(Int64);    # by rank; 0: not started yet
    startedUnixMs @6 :Int64;
    endedUnixMs @7 :Int64;
    startReason @8 :Text;    # why it started when it did, and there, in one sentence; "": an older version started it
  }
}

struct Artifact { name @0 :Text; path @1 :Text; hash @2 :Text; }

struct LogRequest {
  graph @0 :UInt64;
  job @1 :Text;
  attempt @2 :UInt32;        # 0: the newest
  rank @3 :UInt32;
  offset @4 :UInt64;         # bytes already seen
}
struct LogChunk {
  attempt @0 :UInt32;
  offset @1 :UInt64;         # where `bytes` starts
  bytes @2 :Data;            # what is not there (a piece that was lost) is passed over
  ended @3 :Bool;            # the attempt has ended and this is its last byte
  next @4 :UInt64;           # where to ask next; 0 (an older coordinator): at the end of `bytes`
}

struct Why { graph @0 :UInt64; job @1 :Text; }
struct Reason {
  state @0 :Text;
  sentence @1 :Text;
  start @2 :Text;            # of a job that runs: startReason of its attempt
}

struct Retry {               # a graph that ended without success, taken up as a new one
  graph @0 :UInt64;
  token @1 :Text;            # as in Submit
}

struct Drain {
  node @0 :Text;
  reason @1 :Text;
  deadlineMs @2 :UInt64;     # after which what still runs there is asked to stop; 0: never
}

struct Tenant {
  name @0 :Text;
  weightPermille @1 :UInt32;
  cpusMax @2 :UInt64;        # at once; 0: as many as there are
  gpusMax @3 :UInt64;
  memoryBytesMax @4 :UInt64;
  cpus @5 :UInt64;           # now
  gpus @6 :UInt64;
  memoryBytes @7 :UInt64;
  score @8 :UInt64;          # what it has and had of the cluster by its weight, parts of a million; lower goes first
}

struct Reserve {
  name @0 :Text;
  tenants @1 :List(Text);
  nodes @2 :UInt32;          # so many; 0: all that have the labels
  labels @3 :List(Label);    # that they must have
  beginsUnixMs @4 :Int64;    # 0: now
  durationMs @5 :UInt64;
}

struct Reservation {
  name @0 :Text;
  tenants @1 :List(Text);
  nodes @2 :List(Text);
  beginsUnixMs @3 :Int64;
  endsUnixMs @4 :Int64;
  begun @5 :Bool;
  toClear @6 :List(Text);    # nodes on which others' jobs may still run when it begins; they are asked to go then
}

struct Cancel { graph @0 :UInt64; reason @1 :Text; }

struct Node {
  name @0 :Text;
  address @1 :Text;
  state @2 :Text;            # ready, lost, cordoned, draining, drained
  cpus @3 :UInt32;
  cpusFree @4 :UInt32;
  memoryBytes @5 :UInt64;
  memoryBytesFree @6 :UInt64;
  gpus @7 :List(Gpu);
  attempts @8 :List(Text);   # "3/pretrain#1"
  lastSeenMsAgo @9 :Int64;
  reason @10 :Text;          # why it takes no work, in one sentence; "" where it does, or is lost
  labels @11 :List(Label);
}
struct Label { name @0 :Text; value @1 :Text; }
struct Gpu {
  uuid @0 :Text;
  model @1 :Text;
  memoryBytes @2 :UInt64;
  fault @3 :Text;            # why it is not offered any more; "": it is
}

struct CheckpointsRequest { graph @0 :UInt64; job @1 :Text; }   # job "": all jobs of the graph
struct Checkpoint {
  graph @0 :UInt64;
  job @1 :Text;
  step @2 :Int64;
  fence @3 :UInt64;
  path @4 :Text;
  hash @5 :Text;
  bytes @6 :UInt64;
  recordedUnixMs @7 :Int64;
}

struct Join {
  node @0 :Text;
  incarnation @1 :UInt64;    # drawn when the daemon starts: a new one means that all its old ranks are dead
  address @2 :Text;          # where ranks of other nodes reach this one
  cpus @3 :UInt32;
  memoryBytes @4 :UInt64;
  gpus @5 :List(Gpu);
  ports @6 :List(UInt16);    # held for rendezvous; the coordinator hands each to one attempt at a time
  held @7 :List(HeldRank);   # what runs here now (after a restart of the coordinator)
  firstReport @8 :UInt64;    # the lowest report number it may still send
  sequence @9 :UInt64;       # as in Heartbeat: echoed by `lease`
  logs @10 :List(HeldRank);  # ranks, also ended ones, whose output it still has to send
  labels @11 :List(Label);   # what its operator says about the node: rack=r1
  follows @12 :UInt64;       # the last Lease.follow that it heard, 1 at first; 0: the worker is older than this field
}
struct Heartbeat {
  node @0 :Text;
  incarnation @1 :UInt64;
  sequence @2 :UInt64;       # echoed by `lease`, so that the worker knows when the lease it got was asked for
  held @3 :List(HeldRank);
}
struct HeldRank { fence @0 :UInt64; rank @1 :UInt32; }
struct LogPosition {
  fence @0 :UInt64;
  rank @1 :UInt32;
  bytes @2 :UInt64;          # all before it is here
  again @3 :Bool;            # send from there, whatever was sent before
  unwanted @4 :Bool;         # send nothing more of it
}
struct Leave { node @0 :Text; incarnation @1 :UInt64; }      # a polite goodbye: its processes have ended

struct Lease {
  sequence @0 :UInt64;       # of the join or heartbeat that it answers
  leaseMs @1 :UInt32;        # from the moment the heartbeat was sent, by the worker's own monotonic clock
  joined @2 :Bool;           # false: the coordinator does not know this incarnation, join again
  follow @3 :UInt64;         # if not 0: what the join must say that a new incarnation is taken by
}

struct StartRanks {
  graph @0 :UInt64;
  job @1 :Text;
  attempt @2 :UInt32;
  fence @3 :UInt64;
  kind @4 :Text;             # "command" runs `command`; every other kind runs the node's paddock-run
  command @5 :List(Text);
  spec @6 :Text;             # resolved options, JSON
  directory @7 :Text;        # the job's folder on the shared store; the same for every attempt
  worldSize @8 :UInt32;
  masterAddress @9 :Text;
  masterPort @10 :UInt16;
  ranks @11 :List(Rank);     # those that run on this node
  graceMs @12 :UInt32;
  memoryBytesPerRank @13 :UInt64;   # 0: no limit
  struct Rank {
    rank @0 :UInt32;
    localRank @1 :UInt32;
    cpus @2 :UInt32;
    gpus @3 :List(Text);     # UUIDs
  }
  environment @14 :List(Variable);
  struct Variable { name @0 :Text; value @1 :Text; }
  tenant @15 :Text;          # whose job it is: a worker that is root runs it as that tenant's user
  sequence @16 :UInt64;      # of the newest join or heartbeat that was heard of the worker before. The order is good for as
                             # long as the lease that it was answered with: later, the attempt may run elsewhere
}

struct EndAttempt {
  fence @0 :UInt64;
  graceMs @1 :UInt32;        # SIGTERM now, SIGKILL after this
  reason @2 :Text;
}

struct Reports {
  node @0 :Text;
  incarnation @1 :UInt64;
  reports @2 :List(Report);  # rising numbers
  after @3 :UInt64;          # number of the kept report before the first of these; what lies between was given up.
                             # A coordinator that has not got that one drops the message and waits for it to come again
}
struct Report {
  number @0 :UInt64;         # 0: not kept, not acknowledged (progress, logs)
  fence @1 :UInt64;
  rank @2 :UInt32;
  union {
    started @3 :Int64;       # pid
    ended @4 :Ended;
    progress @5 :Text;       # JSON, the rank's own line
    log @6 :Log;
    artifact @7 :Artifact;
    checkpoint @8 :NewCheckpoint;
    failure @9 :Text;        # the rank's own sentence on why it failed; comes before `ended`
    gpuFault @10 :GpuFault;  # of the node; fence and rank are 0: nothing more is to be placed on that GPU
  }
  struct GpuFault { uuid @0 :Text; reason @1 :Text; }
  struct Ended {
    exitCode @0 :Int32;      # -1 when a signal ended it
    signal @1 :Int32;        # 0 when it exited
    reason @2 :Text;         # "exited 1", "killed by signal 9", "could not start: …", "lease lapsed"
    outOfMemory @3 :Bool;
    nodeFault @4 :Bool;      # its worker ended it for its own sake (lease lapsed, worker stops): counts as a lost node
  }
  struct Log { offset @0 :UInt64; bytes @1 :Data; last @2 :Bool; }
  struct NewCheckpoint { step @0 :Int64; path @1 :Text; hash @2 :Text; bytes @3 :UInt64; }
}

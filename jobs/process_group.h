// jobs/process_group.h – the ranks of an attempt over c10d: a TCPStore where they meet, Gloo and NCCL between them.
// Threads: one owner. Each operation has a timeout, since a peer that was stopped or cut off answers nothing: then, and
// when a peer is gone, the operation throws std::runtime_error and the attempt is over.
#pragma once

#include <chrono>
#include <memory>

#include "jobs/rank_environment.h"
#include "jobs/roll_call.h"
#include "model/collective.h"

namespace paddock::jobs {

// Waits for the other ranks, at most `timeout`. world 1: no network at all. Tensors on the CPU go over Gloo, those on a GPU over
// NCCL (jobs/nccl_backend.h), or, with a line on standard error, over the CPU where that library is missing.
std::unique_ptr<model::Collective> join_process_group(const RankEnvironment& environment,
                                                      std::chrono::milliseconds timeout);

// The same, over the network for one rank as well.
std::unique_ptr<model::Collective> connect_ranks(const RankEnvironment& environment,
                                                 std::chrono::milliseconds timeout);

// Where the ranks that have met tell each other where they are: over the TCPStore of rank 0, by a connection of its own, made when
// it is first used and again after a failure. nullptr for a rank alone.
std::shared_ptr<RollCall> roll_call_of(const RankEnvironment& environment, const model::Collective& ranks);

}  // namespace paddock::jobs

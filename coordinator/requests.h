// coordinator/requests.h – what clients ask. Reading is answered at once; what changes the cluster is
// answered when it is durable. A request that cannot be met is refused with one sentence and changes nothing.
// Threads: the coordinator's own.
#pragma once

#include <filesystem>

#include "base/log.h"
#include "coordinator/answers.h"
#include "coordinator/archive.h"
#include "coordinator/clock.h"
#include "coordinator/logs.h"
#include "coordinator/options.h"
#include "coordinator/permissions.h"
#include "coordinator/schedules.h"
#include "coordinator/space.h"
#include "coordinator/turn.h"
#include "jobs/spec/graph_spec.h"
#include "scheduler/cluster.h"
#include "storage/checkpoint_index.h"
#include "wire/transport.h"

namespace paddock::coordinator {

// What requests are answered from. Nothing is owned; all outlive the Requests.
struct Sources {
  const CoordinatorOptions& options;
  const scheduler::Cluster& cluster;
  const Progress& progress;
  const Logs& logs;
  const Archive& archive;
  storage::CheckpointIndex& checkpoints;
  const Schedules& schedules;
  const Clock& clock;
  wire::Transport& server;
  const Space& room;
  const Log& log;
};

// Of a submission, a retry, a run out of turn: what the client draws. kInvalid.
Result<void> check_token(const std::string& token);

class Requests {
 public:
  explicit Requests(const Sources& sources) : from_(sources) {}

  // Who asks, where the answer goes, and how far the asker may reach with this kind of question.
  struct Asker {
    wire::Peer peer;
    std::uint64_t request_id = 0;
    Requester requester;
    Reach reach = Reach::kNone;
  };

  // False: it is no client's message.
  bool handle(const Asker& asker, wire::Message::Reader message, Instant now, Turn& turn);

 private:
  Result<void> submit(const Asker& asker, wire::Submit::Reader request, Turn& turn);
  Result<void> plan(const Asker& asker, wire::Submit::Reader request);
  Result<void> status(const Asker& asker, wire::StatusRequest::Reader request, Instant now);
  Result<void> logs(const Asker& asker, wire::LogRequest::Reader request);
  Result<void> cancel(const Asker& asker, wire::Cancel::Reader request, Turn& turn);
  Result<void> nodes(const Asker& asker, Instant now);
  Result<void> checkpoints(const Asker& asker, wire::CheckpointsRequest::Reader request);

  // The cluster that the graph is found in, if the asker may know of it: the live one, or `past`, into which it
  // came from the archive.
  Result<const scheduler::Cluster*> find(const Asker& asker, std::uint64_t graph,
                                         scheduler::Cluster& past) const;
  // schedule_requests.cpp
  Result<void> set_schedule(const Asker& asker, const spec::GraphSchedule& schedule,
                            scheduler::GraphSubmitted submitted, Turn& turn);
  Result<void> schedules(const Asker& asker, const std::string& name);
  Result<void> steer_schedule(const Asker& asker, wire::SteerSchedule::Reader request, Turn& turn);
  Result<void> run_schedule_now(const Asker& asker, const scheduler::Schedule& schedule,
                                const std::string& token, Turn& turn);
  Result<const scheduler::Schedule*> find_schedule(const Asker& asker, const std::string& name) const;
  void answer_scheduled(const Asker& asker, const std::string& name, const std::string& token);

  // reservation_requests.cpp
  Result<void> reserve(const Asker& asker, wire::Reserve::Reader request, Turn& turn);
  Result<void> unreserve(const Asker& asker, const std::string& name, Turn& turn);
  void answer_reservations(const Asker& asker, const std::string& only);

  // operator_requests.cpp
  Result<void> why(const Asker& asker, wire::Why::Reader request, Instant now);
  Result<void> retry(const Asker& asker, wire::Retry::Reader request, Turn& turn);
  Result<void> drain(const Asker& asker, wire::Drain::Reader request, Instant now, Turn& turn);
  Result<void> resume(const Asker& asker, const std::string& node, Turn& turn);
  Result<void> tenants(const Asker& asker, Instant now);
  Result<void> set_tenant(const Asker& asker, wire::Tenant::Reader request, Turn& turn);
  Result<void> check_node(const NodeId& node) const;
  void answer_done(const Asker& asker);

  void answer(const Asker& asker, capnp::MessageBuilder& builder);
  void refuse(const Asker& asker, const Error& error);
  void answer_submitted(const Asker& asker, const std::string& token);
  void answer_submitted(const Asker& asker, const scheduler::Graph& graph);

  Sources from_;
};

}  // namespace paddock::coordinator

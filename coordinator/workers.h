// coordinator/workers.h – what worker daemons say, and what they are told. Their joins, heartbeats and
// reports become events; leases and acknowledgements go back once those are durable.
//
// A node is heard only over a session: begun by its join to this run of the coordinator, bound to its
// incarnation. Reports are taken in order and each once: `acked` is the number up to which all are in the
// journal. Threads: the coordinator's own.
#pragma once

#include <functional>
#include <map>

#include "base/log.h"
#include "coordinator/answers.h"
#include "coordinator/logs.h"
#include "coordinator/options.h"
#include "coordinator/permissions.h"
#include "coordinator/turn.h"
#include "scheduler/cluster.h"
#include "scheduler/effect.h"
#include "scheduler/reconcile.h"
#include "wire/transport.h"

namespace paddock::coordinator {

class Workers {
 public:
  // Nothing is owned; all outlive this. `progress` is written here.
  Workers(const CoordinatorOptions& options, const scheduler::Cluster& cluster, Progress& progress,
          Logs& logs, wire::Transport& server, const Log& log)
      : options_(options), cluster_(cluster), progress_(progress), logs_(logs), server_(server), log_(log) {}

  // False: it is no worker's message.
  // `requester` may send a worker's messages; a message about another node than its own is refused.
  bool handle(const wire::Peer& peer, const Requester& requester, wire::Message::Reader message, Instant now,
              Turn& turn);
  // Ends the sessions of keys that are no longer admitted: nothing is sent to them any more, and their leases run out.
  void keep_only(const std::function<bool(const std::string& key)>& is_admitted);

  // Tells the node, if it can be reached. What is lost is sent again after its next heartbeat.
  void carry_out(const scheduler::StartRanks& effect);
  void carry_out(const scheduler::EndAttempt& effect);

  // Events that answers found necessary; they belong into the next turn.
  std::vector<scheduler::What> take_found() { return std::exchange(found_, {}); }

 private:
  using RankOfAttempt = std::pair<Fence, RankId>;
  struct Session {
    wire::Peer peer;  // of its newest message
    std::string key;  // that it joined with; "": plain
    std::uint64_t incarnation = 0;
    std::uint64_t acked = 0;
    std::uint64_t heard = 0;  // sequence of its newest join or heartbeat
    // Logs of which a piece could not be written: where, so that it is sent again from there.
    std::map<RankOfAttempt, std::uint64_t> broken_logs;
  };

  // Who sent a message, and over which connection.
  struct Sender {
    const wire::Peer& peer;
    const Requester& requester;
    std::uint64_t request_id = 0;
  };

  void join(const Sender& sender, wire::Join::Reader join, Instant now, Turn& turn);
  void heartbeat(const wire::Peer& peer, wire::Heartbeat::Reader heartbeat, Instant now, Turn& turn);
  void reports(const wire::Peer& peer, wire::Reports::Reader reports, Turn& turn);
  void leave(wire::Leave::Reader leave, Turn& turn);

  void take_report(const NodeId& node, Session& session, wire::Report::Reader report, Turn& turn);
  void take_log(const scheduler::FoundConst& found, Session& session, RankId rank,
                wire::Report::Log::Reader log);
  void send_log_positions(const wire::Peer& peer, const scheduler::Held& ranks);
  void mend_logs(Session& session);
  bool may_speak_for(const Sender& sender, const std::string& node);
  Session* session_of(const NodeId& node, std::uint64_t incarnation, const wire::Peer& peer);
  bool is_ready(const NodeId& node, std::uint64_t incarnation) const;
  void send_lease(const wire::Peer& peer, std::uint64_t sequence, bool joined, std::uint64_t follow = 0);
  void reconcile(const NodeId& node, const scheduler::Held& held, Instant now);
  void refuse(const Sender& sender, const Error& error);
  void send(const wire::Peer& peer, capnp::MessageBuilder& builder);

  const CoordinatorOptions& options_;
  const scheduler::Cluster& cluster_;
  Progress& progress_;
  Logs& logs_;
  wire::Transport& server_;
  const Log& log_;
  std::map<NodeId, Session> sessions_;
  std::vector<scheduler::What> found_;
};

}  // namespace paddock::coordinator

#include "coordinator/workers.h"

#include <algorithm>
#include <span>
#include <utility>

#include "base/planted_bug.h"

namespace paddock::coordinator {
namespace {

using scheduler::What;

scheduler::Offer to_offer(wire::Join::Reader join) {
  scheduler::Offer offer{join.getCpus(), join.getMemoryBytes(), {}, {}};
  for (const auto gpu : join.getGpus()) {
    offer.gpus.push_back({to_text(gpu.getUuid()), to_text(gpu.getModel()), gpu.getMemoryBytes()});
  }
  for (const std::uint16_t port : join.getPorts()) offer.ports.push_back(port);
  for (const auto label : join.getLabels())
    offer.labels[to_text(label.getName())] = to_text(label.getValue());
  return offer;
}

template <typename List>
scheduler::Held to_held(List list) {
  scheduler::Held held;
  for (const auto rank : list) held.insert({Fence{rank.getFence()}, RankId{rank.getRank()}});
  return held;
}

// The event of a kept report. Progress and logs are not journaled: those are never kept.
std::optional<What> to_event(wire::Report::Reader report, Fence fence) {
  const RankId rank{report.getRank()};
  switch (report.which()) {
    case wire::Report::STARTED:
      return scheduler::RankStarted{fence, rank, report.getStarted()};
    case wire::Report::ENDED: {
      const auto ended = report.getEnded();
      return scheduler::RankEnded{fence,
                                  rank,
                                  ended.getExitCode(),
                                  ended.getSignal(),
                                  to_text(ended.getReason()),
                                  ended.getOutOfMemory(),
                                  ended.getNodeFault()};
    }
    case wire::Report::ARTIFACT: {
      const auto artifact = report.getArtifact();
      return scheduler::ArtifactRecorded{
          fence, to_text(artifact.getName()), {to_text(artifact.getPath()), to_text(artifact.getHash())}};
    }
    case wire::Report::CHECKPOINT: {
      const auto saved = report.getCheckpoint();
      return scheduler::CheckpointRecorded{fence, saved.getStep(), to_text(saved.getPath()),
                                           to_text(saved.getHash()), saved.getBytes()};
    }
    case wire::Report::FAILURE:
      return scheduler::FailureReported{fence, rank, to_text(report.getFailure())};
    default:
      return std::nullopt;
  }
}

// What is wrong with something that a rank said by itself; it is dropped, the rank goes on.
std::optional<std::string> fault_of(wire::Report::Reader report) {
  if (report.isArtifact()) {
    const auto artifact = report.getArtifact();
    const std::string name = to_text(artifact.getName());
    if (!is_name(name)) return "'" + name + "' is no name for an artifact";
    if (artifact.getPath().size() == 0) return "artifact " + name + " has no path";
  }
  if (report.isCheckpoint()) {
    const auto saved = report.getCheckpoint();
    if (saved.getStep() < 0) return "a checkpoint of step " + std::to_string(saved.getStep());
    if (saved.getPath().size() == 0) return "the checkpoint has no path";
  }
  return std::nullopt;
}

// What the turn has brought so far counts though it is not applied yet.
struct Standing {
  std::uint64_t newest = 0;      // incarnation of the node; 0: none has joined
  std::uint64_t generation = 0;  // so many have joined
  bool is_over = false;          // the one asked for has left, or another has joined after it
};

Standing standing_of(const scheduler::Cluster& cluster, const NodeId& node, std::uint64_t incarnation,
                     const Turn& turn) {
  Standing standing;
  if (const auto known = cluster.nodes.find(node); known != cluster.nodes.end()) {
    const auto& past = known->second.past_incarnations;
    standing.is_over = std::ranges::find(past, incarnation) != past.end();
    standing.newest = known->second.incarnation;
    standing.generation = known->second.generation;
  }
  for (const What& what : turn.events) {
    const auto* const joined = std::get_if<scheduler::NodeJoined>(&what);
    const auto* const left = std::get_if<scheduler::NodeLeft>(&what);
    if (left != nullptr && left->node == node && left->incarnation == incarnation) standing.is_over = true;
    if (joined == nullptr || joined->node != node || joined->incarnation == standing.newest) continue;
    if (standing.newest == incarnation) standing.is_over = true;
    standing.newest = joined->incarnation;
    ++standing.generation;
  }
  return standing;
}

}  // namespace

bool Workers::handle(const wire::Peer& peer, const Requester& requester, wire::Message::Reader message,
                     Instant now, Turn& turn) {
  const Sender sender{peer, requester, message.getRequestId()};
  switch (message.which()) {
    case wire::Message::JOIN:
      if (may_speak_for(sender, to_text(message.getJoin().getNode())))
        join(sender, message.getJoin(), now, turn);
      return true;
    case wire::Message::HEARTBEAT:
      if (may_speak_for(sender, to_text(message.getHeartbeat().getNode())))
        heartbeat(peer, message.getHeartbeat(), now, turn);
      return true;
    case wire::Message::REPORTS:
      if (may_speak_for(sender, to_text(message.getReports().getNode())))
        reports(peer, message.getReports(), turn);
      return true;
    case wire::Message::LEAVE:
      if (may_speak_for(sender, to_text(message.getLeave().getNode()))) leave(message.getLeave(), turn);
      return true;
    default:
      return false;
  }
}

// A key that is one node's speaks for no other.
bool Workers::may_speak_for(const Sender& sender, const std::string& node) {
  const wire::Grant& grant = sender.requester.grant;
  if (grant.node.empty() || grant.node == node) return true;
  refuse(sender, Error{Code::kDenied, "the key of " + grant.name + " is node " + grant.node + "'s, not " +
                                          node + "'s: start the worker with --node " + grant.node +
                                          ", or allow its key for any node"});
  return false;
}

void Workers::keep_only(const std::function<bool(const std::string& key)>& is_admitted) {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    if (at->second.key.empty() || is_admitted(at->second.key)) {
      ++at;
      continue;
    }
    log_.warn("node_cut_off", {{"node", at->first.value}, {"reason", "its key was revoked"}});
    at = sessions_.erase(at);
  }
}

void Workers::join(const Sender& sender, wire::Join::Reader join, Instant now, Turn& turn) {
  const NodeId node{to_text(join.getNode())};
  const wire::Peer& peer = sender.peer;
  const std::uint64_t incarnation = join.getIncarnation();
  if (!is_name(node.value) || incarnation == 0) {
    return refuse(sender, Error{Code::kInvalid, "'" + node.value +
                                                    "' is no name for a node: letters, digits and ._- only, "
                                                    "not starting with a dot"});
  }
  const Standing standing = standing_of(cluster_, node, incarnation, turn);
  if (standing.is_over) {
    log_.warn("late_join_refused", {{"node", node.value}, {"incarnation", incarnation}});
    return refuse(sender,
                  Error{Code::kConflict,
                        "a newer worker has joined as node " + node.value +
                            ": stop this one, or start it again, under another name if both shall be"});
  }
  // A new daemon must say how many were here before it, which only one that lives now can have heard: else the first join
  // of one that died unheard, late on its way, would be taken for newer than the one that lives.
  const std::uint64_t follows = join.getFollows();
  const bool is_late =
      follows != 0 && follows != standing.generation + 1 && !is_planted(PlantedBug::kTrustJoins);
  if (incarnation != standing.newest && is_late) {
    turn.answers.emplace_back([this, peer, sequence = join.getSequence(), follow = standing.generation + 1] {
      send_lease(peer, sequence, false, follow);
    });
    return;
  }
  Session& session = sessions_[node];
  const std::uint64_t first = join.getFirstReport();
  const std::uint64_t acked = first > 0 ? first - 1 : 0;
  // What we acknowledged and it has not heard of yet comes again; it is not taken twice.
  const bool is_known = session.incarnation == incarnation;
  session.acked = is_known ? std::max(session.acked, acked) : acked;
  session.heard = is_known ? std::max(session.heard, join.getSequence()) : join.getSequence();
  session.incarnation = incarnation;
  session.peer = peer;
  session.key = sender.requester.grant.key;
  session.broken_logs.clear();
  log_.info("node_joined",
            {{"node", node.value}, {"incarnation", incarnation}, {"held", join.getHeld().size()}});
  turn.events.emplace_back(scheduler::NodeJoined{node, incarnation, to_text(join.getAddress()),
                                                 to_offer(join),
                                                 now + options_.lease + options_.lease_margin});
  turn.answers.emplace_back([this, peer, node, incarnation, now, sequence = join.getSequence(),
                             held = to_held(join.getHeld()), logs = to_held(join.getLogs())] {
    send_log_positions(peer, logs);  // first: with the lease it begins to send
    send_lease(peer, sequence, is_ready(node, incarnation));
    reconcile(node, held, now);
  });
}

void Workers::heartbeat(const wire::Peer& peer, wire::Heartbeat::Reader heartbeat, Instant now, Turn& turn) {
  const NodeId node{to_text(heartbeat.getNode())};
  const std::uint64_t incarnation = heartbeat.getIncarnation();
  const std::uint64_t sequence = heartbeat.getSequence();
  Session* const session = session_of(node, incarnation, peer);
  if (session == nullptr) {
    turn.answers.emplace_back([this, peer, sequence] { send_lease(peer, sequence, false); });
    return;
  }
  session->heard = std::max(session->heard, sequence);
  mend_logs(*session);
  turn.events.emplace_back(
      scheduler::NodeSeen{node, incarnation, now + options_.lease + options_.lease_margin});
  turn.answers.emplace_back(
      [this, peer, node, incarnation, now, sequence, held = to_held(heartbeat.getHeld())] {
        // Its lease may have run out in the same turn: then it must join again, and holds nothing that
        // counts.
        const bool joined = is_ready(node, incarnation);
        send_lease(peer, sequence, joined);
        if (joined) reconcile(node, held, now);
      });
}

void Workers::reports(const wire::Peer& peer, wire::Reports::Reader reports, Turn& turn) {
  const NodeId node{to_text(reports.getNode())};
  Session* session = session_of(node, reports.getIncarnation(), peer);
  if (session == nullptr) return;  // it learns from its next heartbeat that it has to join
  bool has_kept = false;
  for (const auto report : reports.getReports()) {
    if (report.getNumber() > 0) {
      has_kept = true;
      if (report.getNumber() <= session->acked || reports.getAfter() > session->acked) continue;
      session->acked = report.getNumber();
    }
    take_report(node, *session, report, turn);
  }
  if (!has_kept) return;
  turn.answers.emplace_back([this, peer, acked = session->acked] {
    capnp::MallocMessageBuilder builder;
    wire::begin(builder).setAcknowledged(acked);
    send(peer, builder);
  });
}

void Workers::take_report(const NodeId& node, Session& session, wire::Report::Reader report, Turn& turn) {
  if (report.isGpuFault()) {
    const auto fault = report.getGpuFault();
    log_.error(
        "gpu_withdrawn",
        {{"node", node.value}, {"gpu", to_text(fault.getUuid())}, {"reason", to_text(fault.getReason())}});
    if (is_planted(PlantedBug::kDeafToGpus)) return;
    turn.events.emplace_back(scheduler::GpuFaulted{node, session.incarnation, to_text(fault.getUuid()),
                                                   to_text(fault.getReason())});
    return;
  }
  const auto found = scheduler::find_attempt(cluster_, Fence{report.getFence()});
  const std::uint32_t rank = report.getRank();
  if (found.attempt == nullptr || rank >= found.attempt->ranks.size() ||
      found.attempt->ranks[rank].node != node) {
    log_.warn("report_refused", {{"node", node.value},
                                 {"fence", report.getFence()},
                                 {"rank", rank},
                                 {"reason", "the attempt is not of this node"}});
    return;
  }
  if (report.isLog()) return take_log(found, session, RankId{rank}, report.getLog());
  const bool is_fenced = !is_planted(PlantedBug::kForgetFence);
  if (!found.attempt->is_live() && is_fenced) {
    log_.warn("report_refused", {{"node", node.value},
                                 {"attempt", shown(cluster_.attempts.at(found.attempt->fence))},
                                 {"rank", rank},
                                 {"reason", "the attempt is over"}});
    return;
  }
  if (report.isProgress()) {
    progress_[found.key].take(found.attempt->fence, rank, to_text(report.getProgress()));
    return;
  }
  if (const auto fault = fault_of(report)) {
    log_.warn("report_refused", {{"node", node.value},
                                 {"attempt", shown(cluster_.attempts.at(found.attempt->fence))},
                                 {"rank", rank},
                                 {"reason", *fault}});
    return;
  }
  const Fence fence = is_fenced ? found.attempt->fence : found.job->attempts.back().fence;
  if (auto event = to_event(report, fence)) turn.events.push_back(*std::move(event));
}

// Each piece is answered with how far its log has come, which lets the worker send more. A piece that cannot be written
// is not, and what follows it is let go: the worker waits, and after a heartbeat sends from there again.
void Workers::take_log(const scheduler::FoundConst& found, Session& session, RankId rank,
                       wire::Report::Log::Reader log) {
  const RankOfAttempt key{found.attempt->fence, rank};
  const auto broken = session.broken_logs.find(key);
  if (broken != session.broken_logs.end() && log.getOffset() > broken->second) return;
  const auto bytes = log.getBytes();
  const auto written =
      logs_.write({found.key, found.attempt->number, rank.value}, log.getOffset(),
                  std::span(reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()));
  if (!written) {
    if (broken == session.broken_logs.end())
      log_.warn("log_not_written", {{"job", run_name(found.key)}, {"reason", written.error().message}});
    session.broken_logs[key] = log.getOffset();
    return;
  }
  session.broken_logs.erase(key);
  capnp::MallocMessageBuilder builder;
  auto position = wire::begin(builder).initLogsTaken(1)[0];
  position.setFence(key.first.value);
  position.setRank(rank.value);
  position.setBytes(log.getOffset() + bytes.size());
  send(session.peer, builder);
}

// Where to go on with each of these logs.
void Workers::send_log_positions(const wire::Peer& peer, const scheduler::Held& ranks) {
  capnp::MallocMessageBuilder builder;
  auto positions = wire::begin(builder).initLogsTaken(static_cast<unsigned>(ranks.size()));
  unsigned index = 0;
  for (const auto& [fence, rank] : ranks) {
    auto position = positions[index++];
    position.setFence(fence.value);
    position.setRank(rank.value);
    position.setAgain(true);
    const auto found = scheduler::find_attempt(cluster_, fence);
    position.setUnwanted(found.attempt == nullptr);
    if (found.attempt != nullptr)
      position.setBytes(logs_.size({found.key, found.attempt->number, rank.value}));
  }
  send(peer, builder);
}

void Workers::mend_logs(Session& session) {
  if (session.broken_logs.empty()) return;
  capnp::MallocMessageBuilder builder;
  auto positions = wire::begin(builder).initLogsTaken(static_cast<unsigned>(session.broken_logs.size()));
  unsigned index = 0;
  for (const auto& [key, offset] : session.broken_logs) {
    positions[index].setFence(key.first.value);
    positions[index].setRank(key.second.value);
    positions[index].setBytes(offset);
    positions[index++].setAgain(true);
  }
  session.broken_logs.clear();
  send(session.peer, builder);
}

void Workers::leave(wire::Leave::Reader leave, Turn& turn) {
  const NodeId node{to_text(leave.getNode())};
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || session->second.incarnation != leave.getIncarnation()) return;
  log_.info("node_left", {{"node", node.value}});
  turn.events.emplace_back(scheduler::NodeLeft{node, leave.getIncarnation()});
  sessions_.erase(session);
}

Workers::Session* Workers::session_of(const NodeId& node, std::uint64_t incarnation, const wire::Peer& peer) {
  const auto found = sessions_.find(node);
  if (found == sessions_.end() || found->second.incarnation != incarnation) return nullptr;
  found->second.peer = peer;
  return &found->second;
}

bool Workers::is_ready(const NodeId& node, std::uint64_t incarnation) const {
  const auto found = cluster_.nodes.find(node);
  return found != cluster_.nodes.end() && found->second.is_ready && found->second.incarnation == incarnation;
}

void Workers::send_lease(const wire::Peer& peer, std::uint64_t sequence, bool joined, std::uint64_t follow) {
  capnp::MallocMessageBuilder builder;
  auto lease = wire::begin(builder).initLease();
  lease.setSequence(sequence);
  lease.setLeaseMs(static_cast<std::uint32_t>(options_.lease.count()));
  lease.setJoined(joined);
  lease.setFollow(follow);
  send(peer, builder);
}

void Workers::reconcile(const NodeId& node, const scheduler::Held& held, Instant now) {
  scheduler::Reconciliation wanted =
      scheduler::reconcile(cluster_, node, held, now, options_.lease + options_.lease_margin);
  for (const scheduler::Effect& effect : wanted.effects) {
    if (const auto* start = std::get_if<scheduler::StartRanks>(&effect)) carry_out(*start);
    if (const auto* end = std::get_if<scheduler::EndAttempt>(&effect)) carry_out(*end);
  }
  found_.insert(found_.end(), wanted.events.begin(), wanted.events.end());
}

void Workers::carry_out(const scheduler::StartRanks& effect) {
  const auto session = sessions_.find(effect.node);
  if (session == sessions_.end()) return;
  capnp::MallocMessageBuilder builder;
  wire::Message::Builder message = wire::begin(builder);
  if (!write_start(message, cluster_, effect.node, effect.fence)) return;
  message.getStartRanks().setSequence(session->second.heard);
  send(session->second.peer, builder);
}

void Workers::carry_out(const scheduler::EndAttempt& effect) {
  const auto session = sessions_.find(effect.node);
  if (session == sessions_.end()) return;
  capnp::MallocMessageBuilder builder;
  auto end = wire::begin(builder).initEndAttempt();
  end.setFence(effect.fence.value);
  end.setGraceMs(static_cast<std::uint32_t>(effect.grace.count()));
  end.setReason(effect.reason);
  send(session->second.peer, builder);
}

void Workers::refuse(const Sender& sender, const Error& error) {
  capnp::MallocMessageBuilder builder;
  wire::write_refusal(builder, sender.request_id, error);
  send(sender.peer, builder);
}

void Workers::send(const wire::Peer& peer, capnp::MessageBuilder& builder) {
  if (const auto sent = server_.send(peer, builder); !sent) {
    log_.warn("worker_unreachable", {{"reason", sent.error().message}});
  }
}

}  // namespace paddock::coordinator

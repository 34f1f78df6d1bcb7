#include "worker/messages.h"

#include <utility>

namespace paddock::worker {
namespace {

std::string text_of(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

template <typename List>
std::vector<std::string> texts_of(List list) {
  std::vector<std::string> texts;
  for (const auto text : list) texts.push_back(text_of(text));
  return texts;
}

std::shared_ptr<const StartOrder> to_order(wire::StartRanks::Reader start) {
  auto order = std::make_shared<StartOrder>();
  order->job = JobKey{GraphId(start.getGraph()), JobName(text_of(start.getJob()))};
  order->attempt = start.getAttempt();
  order->fence = Fence(start.getFence());
  order->asked = start.getSequence();
  order->kind = text_of(start.getKind());
  order->command = texts_of(start.getCommand());
  order->spec = text_of(start.getSpec());
  order->directory = text_of(start.getDirectory());
  order->world_size = start.getWorldSize();
  order->master_address = text_of(start.getMasterAddress());
  order->master_port = start.getMasterPort();
  order->memory_bytes_per_rank = start.getMemoryBytesPerRank();
  order->tenant = text_of(start.getTenant());
  for (const auto variable : start.getEnvironment()) {
    order->environment.emplace_back(text_of(variable.getName()), text_of(variable.getValue()));
  }
  for (const auto rank : start.getRanks()) {
    order->ranks.push_back(
        {RankId(rank.getRank()), rank.getLocalRank(), rank.getCpus(), texts_of(rank.getGpus())});
  }
  return order;
}

template <typename Builder>
void write_held(Builder held, const std::vector<RankKey>& keys) {
  for (unsigned i = 0; i < keys.size(); ++i) {
    held[i].setFence(keys[i].fence.value);
    held[i].setRank(keys[i].rank.value);
  }
}

void write_finding(wire::Report::Builder report, const Started& started) {
  report.setStarted(started.pid);
}
void write_finding(wire::Report::Builder report, const Ended& ended) {
  auto to = report.initEnded();
  to.setExitCode(ended.exit_code);
  to.setSignal(ended.signal);
  to.setReason(ended.reason);
  to.setOutOfMemory(ended.out_of_memory);
  to.setNodeFault(ended.node_fault);
}
void write_finding(wire::Report::Builder report, const Progress& progress) {
  report.setProgress(progress.json);
}
void write_finding(wire::Report::Builder report, const Artifact& artifact) {
  auto to = report.initArtifact();
  to.setName(artifact.name);
  to.setPath(artifact.path);
  to.setHash(artifact.hash);
}
void write_finding(wire::Report::Builder report, const Checkpoint& checkpoint) {
  auto to = report.initCheckpoint();
  to.setStep(checkpoint.step);
  to.setPath(checkpoint.path);
  to.setHash(checkpoint.hash);
  to.setBytes(checkpoint.bytes);
}
void write_finding(wire::Report::Builder report, const Failure& failure) {
  report.setFailure(failure.message);
}

void write_finding(wire::Report::Builder report, const GpuFault& fault) {
  auto to = report.initGpuFault();
  to.setUuid(fault.uuid);
  to.setReason(fault.reason);
}

}  // namespace

Result<Event> to_event(wire::Message::Reader message) {
  switch (message.which()) {
    case wire::Message::LEASE: {
      const auto lease = message.getLease();
      return LeaseReceived{lease.getSequence(), Millis(lease.getLeaseMs()), lease.getJoined(),
                           lease.getFollow()};
    }
    case wire::Message::ACKNOWLEDGED:
      return ReportsAcknowledged{message.getAcknowledged()};
    case wire::Message::START_RANKS:
      return StartAsked{to_order(message.getStartRanks())};
    case wire::Message::END_ATTEMPT: {
      const auto end = message.getEndAttempt();
      return EndAsked{Fence(end.getFence()), Millis(end.getGraceMs()), text_of(end.getReason())};
    }
    case wire::Message::REFUSED:
      return tl::unexpected(wire::read_refusal(message.getRefused()));
    default:
      return fail(Code::kInvalid, "a message that is not for workers, kind " +
                                      std::to_string(static_cast<unsigned>(message.which())));
  }
}

std::vector<LogTaken> to_log_positions(wire::Message::Reader message) {
  std::vector<LogTaken> positions;
  for (const auto position : message.getLogsTaken()) {
    positions.push_back({RankKey{Fence(position.getFence()), RankId(position.getRank())}, position.getBytes(),
                         position.getAgain(), position.getUnwanted()});
  }
  return positions;
}

void write(capnp::MessageBuilder& builder, const Identity& identity, const SendJoin& join,
           const std::vector<RankKey>& logs) {
  auto to = wire::begin(builder).initJoin();
  to.setNode(identity.node);
  to.setIncarnation(identity.incarnation);
  to.setAddress(identity.address);
  to.setCpus(identity.cpus);
  to.setMemoryBytes(identity.memory_bytes);
  auto gpus = to.initGpus(static_cast<unsigned>(identity.gpus.size()));
  for (unsigned i = 0; i < gpus.size(); ++i) {
    gpus[i].setUuid(identity.gpus[i].uuid);
    gpus[i].setModel(identity.gpus[i].model);
    gpus[i].setMemoryBytes(identity.gpus[i].memory_bytes);
  }
  auto ports = to.initPorts(static_cast<unsigned>(identity.ports.size()));
  for (unsigned i = 0; i < ports.size(); ++i) ports.set(i, identity.ports[i]);
  auto labels = to.initLabels(static_cast<unsigned>(identity.labels.size()));
  unsigned label = 0;
  for (const auto& [name, value] : identity.labels) {
    labels[label].setName(name);
    labels[label++].setValue(value);
  }
  write_held(to.initHeld(static_cast<unsigned>(join.held.size())), join.held);
  write_held(to.initLogs(static_cast<unsigned>(logs.size())), logs);
  to.setFirstReport(join.first_report);
  to.setSequence(join.sequence);
  to.setFollows(join.follows);
}

void write(capnp::MessageBuilder& builder, const Identity& identity, const SendHeartbeat& heartbeat) {
  auto to = wire::begin(builder).initHeartbeat();
  to.setNode(identity.node);
  to.setIncarnation(identity.incarnation);
  to.setSequence(heartbeat.sequence);
  write_held(to.initHeld(static_cast<unsigned>(heartbeat.held.size())), heartbeat.held);
}

void write(capnp::MessageBuilder& builder, const Identity& identity, const SendReports& reports) {
  auto to = wire::begin(builder).initReports();
  to.setNode(identity.node);
  to.setIncarnation(identity.incarnation);
  to.setAfter(reports.after);
  auto list = to.initReports(static_cast<unsigned>(reports.reports.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    const Report& report = reports.reports[i];
    list[i].setNumber(report.number);
    list[i].setFence(report.key.fence.value);
    list[i].setRank(report.key.rank.value);
    std::visit([&](const auto& finding) { write_finding(list[i], finding); }, report.finding);
  }
}

void write(capnp::MessageBuilder& builder, const Identity& identity, const SendLeave&) {
  auto to = wire::begin(builder).initLeave();
  to.setNode(identity.node);
  to.setIncarnation(identity.incarnation);
}

void write(capnp::MessageBuilder& builder, const Identity& identity, const RankKey& key,
           const LogPiece& piece) {
  auto to = wire::begin(builder).initReports();
  to.setNode(identity.node);
  to.setIncarnation(identity.incarnation);
  auto report = to.initReports(1)[0];
  report.setFence(key.fence.value);
  report.setRank(key.rank.value);
  auto log = report.initLog();
  log.setOffset(piece.offset);
  log.setBytes(kj::arrayPtr(reinterpret_cast<const kj::byte*>(piece.bytes.data()), piece.bytes.size()));
  log.setLast(piece.is_last);
}

}  // namespace paddock::worker

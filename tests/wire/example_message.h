// tests/wire/example_message.h – a message with every shape that the protocol has: nested lists, texts, data,
// a union.
#pragma once

#include <capnp/message.h>

#include "wire/envelope.h"

namespace paddock::wire {

inline void write_example(capnp::MessageBuilder& builder, std::uint64_t request_id) {
  auto reports = begin(builder, request_id).initReports();
  reports.setNode("a");
  reports.setIncarnation(42);
  auto list = reports.initReports(3);
  list[0].setNumber(1);
  list[0].setStarted(4711);
  list[1].setNumber(2);
  auto artifact = list[1].initArtifact();
  artifact.setName("dataset");
  artifact.setPath("/store/größe");
  auto log = list[2].initLog();
  const kj::byte bytes[] = {0xff, 0x00, 'x'};
  log.setBytes(kj::arrayPtr(bytes, 3));
}

inline void write_start_ranks(capnp::MessageBuilder& builder) {
  auto start = begin(builder).initStartRanks();
  start.setJob("pretrain");
  start.setKind("command");
  auto command = start.initCommand(2);
  command.set(0, "/bin/echo");
  command.set(1, "hello");
  auto ranks = start.initRanks(2);
  ranks[1].setRank(1);
  ranks[1].initGpus(1).set(0, "GPU-0");
  start.initEnvironment(1)[0].setName("A");
}

}  // namespace paddock::wire

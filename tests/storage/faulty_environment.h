// tests/storage/faulty_environment.h – the machine as RocksDB sees it, on which the power can fail: from the
// n-th writing operation on nothing is written any more, and afterwards what was not synced is gone, but for a
// torn part of it. Files lie in a real folder; nothing is really synced, so a run costs no disk's time. What
// was renamed, created or deleted counts as durable at once. Threads: RocksDB's own and the test's.
#pragma once

#include <cstdint>
#include <memory>

namespace rocksdb {
class Env;
}

namespace paddock::storage {

class FaultyEnvironment {
 public:
  FaultyEnvironment();
  ~FaultyEnvironment();
  FaultyEnvironment(const FaultyEnvironment&) = delete;
  FaultyEnvironment& operator=(const FaultyEnvironment&) = delete;

  rocksdb::Env* environment() const;

  // Operations that write, sync, create, rename or delete, since the beginning.
  std::uint64_t operations() const;
  // The power fails at the operation of this number; that one does not happen, and none after it.
  void fail_at(std::uint64_t operation);
  bool has_failed() const;
  // With the database closed: what the power cut leaves of each file, a part of its unsynced bytes as `seed`
  // draws it. From then on the power is back.
  void lose_unsynced(std::uint64_t seed);

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<rocksdb::Env> environment_;
};

}  // namespace paddock::storage

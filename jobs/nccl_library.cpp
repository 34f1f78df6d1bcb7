#include <cstdlib>

#include "jobs/nccl_backend.h"
#include "model/plug_in.h"

namespace paddock::jobs {
namespace {

NcclLibrary load() {
  // An operation that a peer does not answer shall end with an exception, as Gloo's do, not with the process.
  setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 0);
  const model::PlugIn plug_in = model::load_plug_in("libpaddock_nccl.so", kNcclBackendSymbol);
  return {reinterpret_cast<NcclBackendFunction>(plug_in.symbol), plug_in.problem};
}

}  // namespace

const NcclLibrary& nccl_library() {
  static const NcclLibrary library = load();
  return library;
}

std::optional<std::int64_t> rank_without_nccl(c10d::Store& store, std::int64_t rank, std::int64_t world,
                                              bool has_own) {
  const auto key = [](std::int64_t of_rank) { return "nccl-of-rank/" + std::to_string(of_rank); };
  store.set(key(rank), std::vector<std::uint8_t>{static_cast<std::uint8_t>(has_own)});
  for (std::int64_t other = 0; other < world; ++other) {
    if (store.get(key(other)).front() == 0) return other;
  }
  return std::nullopt;
}

}  // namespace paddock::jobs

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

}  // namespace paddock::jobs

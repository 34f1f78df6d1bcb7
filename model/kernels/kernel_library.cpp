#include "model/kernels/kernel_library.h"

#include "model/plug_in.h"

namespace paddock::model {
namespace {

KernelLibrary load() {
  const PlugIn plug_in = load_plug_in("libpaddock_kernels.so", kFusedUpdateSymbol);
  return {reinterpret_cast<FusedUpdateFunction>(plug_in.symbol), plug_in.problem};
}

}  // namespace

const KernelLibrary& kernel_library() {
  static const KernelLibrary library = load();
  return library;
}

}  // namespace paddock::model

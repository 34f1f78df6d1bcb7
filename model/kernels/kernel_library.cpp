#include "model/kernels/kernel_library.h"

#include <dlfcn.h>

#include <filesystem>

namespace paddock::model {
namespace {

KernelLibrary load() {
  constexpr const char* kName = "libpaddock_kernels.so";
  std::error_code ignored;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / kName;
  void* handle = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) handle = dlopen(kName, RTLD_NOW | RTLD_LOCAL);
  KernelLibrary library;
  if (handle == nullptr) {
    library.problem = dlerror();
    return library;
  }
  library.fused_update = reinterpret_cast<FusedUpdateFunction>(dlsym(handle, kFusedUpdateSymbol));
  if (library.fused_update == nullptr) library.problem = "libpaddock_kernels.so is of another version";
  return library;
}

}  // namespace

const KernelLibrary& kernel_library() {
  static const KernelLibrary library = load();
  return library;
}

}  // namespace paddock::model

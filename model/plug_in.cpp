#include "model/plug_in.h"

#include <dlfcn.h>

#include <filesystem>

namespace paddock::model {

PlugIn load_plug_in(const std::string& library, const char* symbol) {
  std::error_code ignored;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path() / library;
  void* handle = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
  // If it is there, what is wrong with it says more than that there is no other.
  const std::string why = handle == nullptr ? dlerror() : "";
  const bool is_there = std::filesystem::exists(beside, ignored);
  if (handle == nullptr) handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return {nullptr, is_there ? why : dlerror()};
  void* found = dlsym(handle, symbol);
  if (found == nullptr) return {nullptr, beside.filename().string().append(" is of another version")};
  return {found, {}};
}

}  // namespace paddock::model

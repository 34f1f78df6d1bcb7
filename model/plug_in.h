// model/plug_in.h – libraries of ours that not every machine can load (CUDA, NCCL): beside the program, opened when they are needed.
// Threads: any. They stay loaded.
#pragma once

#include <string>

namespace paddock::model {

struct PlugIn {
  void* symbol = nullptr;
  std::string problem;  // why there is no symbol
};

// `symbol` of `library` ("libpaddock_….so"), which lies beside the running program or where the system looks. The symbol's name
// carries its version, so a library of another one does not have it.
PlugIn load_plug_in(const std::string& library, const char* symbol);

}  // namespace paddock::model

// model/kernels/kernel_library.h – our CUDA kernels, loaded when a GPU is there: nothing else links against CUDA.
// libpaddock_kernels.so lies beside the program (or on the library path). Threads: the handle may be shared.
#pragma once

#include <string>

#include "model/kernels/fused_update.h"

namespace paddock::model {

struct KernelLibrary {
  FusedUpdateFunction fused_update = nullptr;
  std::string problem;  // why there are none; empty when they are there
};

// Loads once; later calls give the same. Never throws: a machine without GPU is a normal one.
const KernelLibrary& kernel_library();

}  // namespace paddock::model

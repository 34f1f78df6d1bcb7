#include "model/kernels/vector_forms.h"

namespace paddock::model {
namespace {

Instructions look_up() {
#if PADDOCK_HAS_VECTOR_FORMS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
    return Instructions::kAvx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Instructions::kAvx2;
#endif
  return Instructions::kAny;
}

}  // namespace

Instructions instructions() {
  static const Instructions known = look_up();
  return known;
}

}  // namespace paddock::model

#include "cli/token.h"

#include <random>

namespace paddock::cli {

std::string draw_token() {
  std::random_device device;
  std::string token;
  for (int i = 0; i < 32; ++i) token += "0123456789abcdef"[device() % 16];
  return token;
}

}  // namespace paddock::cli

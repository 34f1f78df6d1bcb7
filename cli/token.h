// cli/token.h – what tells a submission that is sent twice from two. Threads: any.
#pragma once

#include <string>

namespace paddock::cli {

// 128 random bits as hexadecimal digits.
std::string draw_token();

}  // namespace paddock::cli

// jobs/spec/number_text.h – numbers as people read them in a sentence. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace paddock::spec {

std::string grouped(std::int64_t number);                 // "1,281,167"
std::string short_number(double number, int digits = 3);  // so many significant digits: "0.00566", "3.46e-04"
std::string with_prefix(double number);                   // three digits and k, M, G, T or P: "22.1 M", "7"
std::string gibibytes(double bytes);  // "12.3", one digit behind the point; small ones "0.04"

}  // namespace paddock::spec

// cli/output.h – tables, JSON and moments for people, on standard output.
// Threads: pure but for print_…, which write to standard output.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace paddock::cli {

using Json = nlohmann::json;
using Row = std::vector<std::string>;

// Left-aligned columns, two spaces between; the last column is not padded.
std::string table(const Row& header, const std::vector<Row>& rows);

void print_text(std::string_view text);
// Indented, one document, a newline at the end.
void print_json(const Json& json);
// On one line: for streams of documents.
void print_json_line(const Json& json);

// How many columns a terminal needs for UTF-8 text (a code point counts as one).
std::size_t columns_of(std::string_view text);
// At most so many columns, with … at the end if something was cut.
std::string cut(std::string_view text, std::size_t columns);
// Without control characters, so that what a job says cannot move the cursor.
std::string plain(std::string_view text);

std::string show_bytes(std::uint64_t bytes);    // "12.3 GiB"
std::string show_seconds(double seconds);       // "45s", "3m 20s", "2h 5m"
std::string show_moment(std::int64_t unix_ms);  // local time; "" for 0

// Fields of a JSON object that may be missing or of another type.
std::string text_of(const Json& object, const char* key);
double number_of(const Json& object, const char* key, double otherwise = 0);

}  // namespace paddock::cli

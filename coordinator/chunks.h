// coordinator/chunks.h – long values in rows of the database: PREFIX + number of the chunk, so that no row and
// no write is large. Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/tables.h"

namespace paddock::coordinator {

// One batch for about every 16 MiB, in order; an empty value makes none.
std::vector<storage::Batch> chunks_of(storage::Column column, std::string_view prefix,
                                      std::string_view value);

// All chunks of `prefix`, one after the other; "" if there are none.
Result<std::string> read_chunks(const storage::Tables& database, storage::Column column,
                                std::string_view prefix);

}  // namespace paddock::coordinator

// jobs/curate/model_embedding.h – pictures embedded by a trained model's class token, for curating with what
// was learnt.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "jobs/curate/embeddings.h"

namespace paddock::curate {

struct ModelEmbeddings {
  Embeddings rows;
  std::string name;  // "cls of checkpoint <hash>": what thresholds belong to
};

// Embeds `pictures` pictures, whose PNG files `png` gives, with the averaged weights of the checkpoint in the
// folder `checkpoint`. Throws std::invalid_argument when it is no checkpoint of ours.
ModelEmbeddings embed_with_model(const std::string& checkpoint, std::size_t pictures, int threads,
                                 const std::function<std::vector<std::byte>(std::size_t)>& png);

}  // namespace paddock::curate

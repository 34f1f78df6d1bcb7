#include "jobs/curate/model_embedding.h"

#include <algorithm>

#include "data/decode.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model_checkpoint.h"
#include "jobs/parallel_for.h"
#include "jobs/value_or_throw.h"

namespace paddock::curate {

ModelEmbeddings embed_with_model(const std::string& checkpoint, std::size_t pictures, int threads,
                                 const std::function<std::vector<std::byte>(std::size_t)>& png) {
  constexpr std::size_t kBatch = 64;
  constexpr std::size_t kChunk = 8 * kBatch;  // decoded at a time; bounds memory
  jobs::LoadedBackbone loaded = jobs::load_backbone(checkpoint, "teacher");
  const model::VisionTransformer& backbone = *loaded.network;
  // The whole picture at the size the model was trained for: copies are found by all that is in them.
  const evaluate::EvalTransform transform{static_cast<int>(backbone.options().image_height), 1.0, true};
  ModelEmbeddings embeddings{Embeddings(static_cast<std::size_t>(backbone.options().embed_dim)),
                             "class token of checkpoint " + loaded.hash};
  for (std::size_t first = 0; first < pictures; first += kChunk) {
    std::vector<data::Image> squares(std::min(kChunk, pictures - first));
    jobs::parallel_for(squares.size(), threads, [&](std::size_t i) {
      const data::Image picture =
          jobs::value_or_throw(data::decode_image(png(first + i), {}, loaded.normalization.channels()),
                               "decoding a prepared picture");
      squares[i] = evaluate::square_of(picture, transform);
    });
    std::vector<const data::Image*> batch;
    for (const data::Image& square : squares) batch.push_back(&square);
    const evaluate::FeatureTable features = evaluate::features_of(backbone, loaded.normalization, batch,
                                                                  "cls", kBatch, threads, [](std::size_t) {});
    for (std::size_t i = 0; i < features.size(); ++i) embeddings.rows.add(features.row(i));
  }
  return embeddings;
}

}  // namespace paddock::curate

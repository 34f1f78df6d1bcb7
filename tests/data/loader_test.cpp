#include "data/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "data/sampler.h"
#include "tests/data/shards.h"
#include "tests/data/small_batches.h"
#include "tests/temporary_folder.h"

namespace paddock::data {
namespace {

class LoaderTest : public testing::Test {
 protected:
  storage::ShardSet pictures(int samples, const std::vector<int>& torn = {}) {
    return write_pictures(disk_, folder_.path() / "set", samples, torn);
  }
  TemporaryFolder folder_;
  storage::RealDisk disk_;
};

TEST_F(LoaderTest, BatchesHaveThePromisedShapes) {
  const auto set = pictures(10);
  Loader loader(set, small(), 0);
  const Batch batch = loader.next();
  EXPECT_EQ(batch.globals.size(), 2u * 4 * 3 * 28 * 28);
  EXPECT_EQ(batch.locals.size(), 3u * 4 * 3 * 14 * 14);
  EXPECT_EQ(batch.masks.size(), 2u * 4 * 16);
  EXPECT_EQ(batch.mask_indices.size(), batch.mask_weights.size());
  EXPECT_LE(static_cast<std::int64_t>(batch.mask_indices.size()), batch.mask_indices_max);
}

TEST_F(LoaderTest, AnyNumberOfThreadsAndAnyStartGiveTheSameBytes) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  std::vector<Batch> want;
  Loader plain(set, options, 0);
  for (int step = 0; step < 6; ++step) want.push_back(plain.next());
  for (const int threads : {1, 3})
    for (const std::size_t first : {0u, 2u, 5u}) {
      options.threads = threads;
      options.depth = threads;  // 1 and 3 batches ahead
      options.cache_bytes = threads == 1 ? 0 : 1u << 20;
      Loader loader(set, options, first);
      for (std::size_t step = first; step < want.size(); ++step)
        EXPECT_TRUE(equal(loader.next(), want[step])) << threads << " threads, step " << step;
    }
}

TEST_F(LoaderTest, AnotherSeedGivesOtherBatches) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  const Batch first = Loader(set, options, 0).next();
  options.seed = 12;
  const Batch second = Loader(set, options, 0).next();
  EXPECT_NE(first.globals, second.globals);
  EXPECT_NE(first.samples_hash, second.samples_hash);
}

TEST_F(LoaderTest, VirtualShardsTogetherSeeWhatOneShardWouldSee) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  const Batch whole = Loader(set, options, 3).next();
  std::vector<std::uint64_t> positions, indices;
  std::vector<float> first_crops;
  options.virtual_shards = 2;
  options.last_shard = 2;
  Loader loader(set, options, 3);
  for (int shard = 0; shard < 2; ++shard) {
    const Batch part = loader.next();
    EXPECT_EQ(part.shard, shard);
    EXPECT_EQ(part.step, 3u);
    positions.insert(positions.end(), part.positions.begin(), part.positions.end());
    indices.insert(indices.end(), part.indices.begin(), part.indices.end());
    first_crops.insert(first_crops.end(), part.globals.begin(),
                       part.globals.begin() + part.globals.size() / 2);
  }
  EXPECT_EQ(positions, whole.positions);
  EXPECT_EQ(indices, whole.indices);
  EXPECT_TRUE(std::equal(first_crops.begin(), first_crops.end(), whole.globals.begin()));
}

TEST_F(LoaderTest, AShardsBatchIsTheSameWhicheverRankMakesIt) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  options.global_batch = 8;
  options.virtual_shards = 4;
  options.last_shard = 4;
  Loader one(set, options, 1);
  options.threads = 2;
  options.last_shard = 1;
  Loader first(set, options, 1);
  options.first_shard = 1, options.last_shard = 4;
  Loader others(set, options, 1);
  for (int step = 1; step < 3; ++step) {
    EXPECT_TRUE(equal(one.next(), first.next()));
    for (int shard = 1; shard < 4; ++shard)
      EXPECT_TRUE(equal(one.next(), others.next())) << step << " " << shard;
  }
}

TEST_F(LoaderTest, EveryEpochSeesEverySampleOnceInAnotherOrder) {
  const SampleOrder order{1000, 5};
  std::set<std::uint64_t> seen;
  int unmoved = 0;
  for (std::uint64_t slot = 0; slot < 1000; ++slot) {
    seen.insert(order.index(1000 + slot));
    unmoved += order.index(slot) == order.index(1000 + slot) ? 1 : 0;
  }
  EXPECT_EQ(seen.size(), 1000u);
  EXPECT_LT(unmoved, 20);
}

TEST_F(LoaderTest, TornPicturesAreReplacedTheSameWayEveryTimeAndNamed) {
  const auto set = pictures(8, {2, 5});
  LoaderOptions options = small();
  Loader plain(set, options, 0);
  options.threads = 3;
  Loader threaded(set, options, 0);
  for (int step = 0; step < 4; ++step) {  // two epochs
    const Batch batch = plain.next();
    EXPECT_TRUE(equal(batch, threaded.next()));
    for (const std::uint64_t index : batch.indices) EXPECT_TRUE(index != 2 && index != 5);
  }
  const std::vector<Quarantined> bad = plain.quarantined();
  ASSERT_EQ(bad.size(), 2u);
  EXPECT_EQ(bad[0].index, 2u);
  EXPECT_EQ(bad[0].key, "picture-2");
  EXPECT_NE(bad[0].reason.find("damaged PNG"), std::string::npos) << bad[0].reason;
  EXPECT_EQ(bad[1].index, 5u);
}

TEST_F(LoaderTest, APictureIsSaidOnceTheMomentItIsPutAside) {
  const auto set = pictures(8, {2, 5});
  for (const int threads : {0, 3}) {
    LoaderOptions options = small();
    options.threads = threads;
    std::vector<std::string> said;  // the loader calls one at a time
    options.on_quarantined = [&](const Quarantined& picture) { said.push_back(picture.key); };
    std::size_t said_by_first_epoch = 0;
    {
      Loader loader(set, options, 0);
      for (int step = 0; step < 6; ++step) {  // three epochs of two steps
        loader.next();
        if (step == 1 && threads == 0) said_by_first_epoch = said.size();
      }
    }
    std::sort(said.begin(), said.end());
    EXPECT_EQ(said, (std::vector<std::string>{"picture-2", "picture-5"})) << threads << " threads";
    if (threads == 0) {
      EXPECT_EQ(said_by_first_epoch, 2u);
    }
  }
}

TEST_F(LoaderTest, ASetWithoutOneWholePictureStopsTheRun) {
  const auto set = pictures(2, {0, 1});
  LoaderOptions options = small();
  EXPECT_THROW(Loader(set, options, 0).next(), std::runtime_error);
  options.threads = 2;
  Loader threaded(set, options, 0);
  EXPECT_THROW(threaded.next(), std::runtime_error);
  EXPECT_THROW(threaded.next(), std::runtime_error);  // and stays stopped
}

TEST_F(LoaderTest, ALoaderThatIsLeftWithWorkAheadEndsItsThreads) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  options.threads = 3;
  options.depth = 4;
  Loader loader(set, options, 0);
  loader.next();
}

TEST_F(LoaderTest, WithoutLocalCropsTheirSizeDoesNotMatter) {
  const auto set = pictures(10);
  LoaderOptions options = small();
  const Batch with = Loader(set, options, 0).next();
  options.views.num_local = 0;
  options.views.local_size = 15;  // no multiple of the patch
  const Batch without = Loader(set, options, 0).next();
  EXPECT_TRUE(without.locals.empty());
  EXPECT_EQ(without.globals, with.globals);
  options.views.num_local = 1;
  EXPECT_THROW(Loader(set, options, 0), std::invalid_argument);
}

TEST_F(LoaderTest, OptionsThatDoNotFitAreRefused) {
  const auto set = pictures(3);
  LoaderOptions options = small();
  options.virtual_shards = 3;
  EXPECT_THROW(Loader(set, options, 0), std::invalid_argument);
  options = small();
  options.first_shard = 1;  // an empty range
  EXPECT_THROW(Loader(set, options, 0), std::invalid_argument);
  options = small();
  options.patch_size = 8;
  EXPECT_THROW(Loader(set, options, 0), std::invalid_argument);
}

}  // namespace
}  // namespace paddock::data

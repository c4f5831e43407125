package main

import (
	"fmt"
	"strings"

	"github.com/polyphon/polyphon/cmd/internal/computing"
	"github.com/polyphon/polyphon/cmd/internal/decoding"
	"github.com/polyphon/polyphon/polynet"
	"github.com/polyphon/polyphon/training"
)

// recipe gives the flags of fit their defaults.
var recipe = training.Default()

// texts are what tags of flags name by ${...}: defaults of the recipe, and help that is too long for a tag.
var texts = map[string]string{
	"kinds": strings.ReplaceAll(flagText(polynet.BlockKinds()), ":", ","),

	"device": computing.DeviceHelp,

	"decodeWith": decoding.Help,

	"dropout":   fmt.Sprint(recipe.Net.Dropout),
	"optimizer": string(recipe.Optimizer),
	"momentum":  fmt.Sprint(recipe.Momentum),
	"warmup":    fmt.Sprint(recipe.Warmup),
	"decay":     fmt.Sprint(recipe.Decay),
	"clip":      fmt.Sprint(recipe.Clip),
	"loss":      string(recipe.Loss),
	"losses":    strings.ReplaceAll(flagText(training.LossKinds), ":", ","),
	"smoothing": fmt.Sprint(recipe.Smoothing),
	"ema":       fmt.Sprint(recipe.EMA),
	"seed":      fmt.Sprint(recipe.Seed),
	"taught":    fmt.Sprint(recipe.DistillWeight),
	"fluent":    fmt.Sprint(recipe.Context.Fluent),
	"limit":     fmt.Sprint(recipe.ClampSigma),

	"modelHelp": "Model file, or an embedded model: base, the default, small or tiny.",
	"dataHelp": "Folder of recordings: CLASS/*.wav, or the layout of Google Speech Commands. " +
		"In WAV files of 64 KiB or more, each cue point with a label is a clip of that class.",
	"outHelp": "Model file to write. The checkpoint lies beside it, as FILE.checkpoint. " +
		"Where either is there, --resume or --force must say what to do with it.",
	"sourceHelp": "Note in the model what the recordings are and under which licence, where train info shows it. " +
		"Once for each collection; those of teachers are added.",
	"wordsHelp": "Words to learn, separated by commas; the other folders become _unknown_. " +
		"Without it, every folder is a label.",
	"degreeHelp": fmt.Sprintf("Degree of each block's polynomial, 2 to %d, where the kind has one to choose. "+
		"Default: %d.", polynet.MaxDegree, training.DefaultDegree),
	"expansionHelp": fmt.Sprintf("Channels of the factors of star blocks for each of the stage's, 1 to %d. Default: %d.",
		polynet.MaxExpansion, polynet.StarExpansion),
	"milpHelp": "For how long a solver of mixed-integer programs, cbc or glpsol, is asked about what bounds leave open; " +
		"0: it is not.",
	"stemHelp": "First convolution, WIDTH:KERNEL:AHEAD:STRIDE. Default: as the clips are many or few.",
	"stagesHelp": "Stages of residual blocks, each WIDTH:BLOCKS:KERNEL:AHEAD:STRIDE. Default: as the clips are many or " +
		"few.",
	"stepsHelp": "Optimiser steps, rounded up to whole epochs. Default: as the clips are many or few.",
	"keepHelp": "Which epoch's weights are kept: the best on the validation clips, or the last. " +
		"Default: the last where these are too few to choose by.",
	"patienceHelp": "End after so many epochs without a better one; 0: never. Default: 20 where there are enough " +
		"validation clips.",
	"balanceHelp": "Evens out how often labels come: 0 as in the data, 1 equally. Default: 1 where they are uneven, " +
		"or 0.5.",
	"mixupHelp": "Mix the clips of a batch in proportions of Beta(A, A); 0 turns it off. Default: 0.3 for few clips.",
	"inContextHelp": "Share of the batches with such a context; 0 learns clips alone. Default: 0.5 for windows " +
		"of at most 2 s.",
	"fromRateHelp": "Learning rate of the layers of --from, as a share of the head's. " +
		"Default: 0.1 where the head is new, or 1.",
	"fromNormsHelp": "Norms of --from keep their statistics, or new ones are learnt with the weights.",
	"lossHelp": "Loss: ls (cross-entropy with label smoothing), ce (without), brier, or for probabilities that are " +
		"better calibrated focal, flsd (FLSD-53), flsc (FLSc-532) or dual. Default: " + string(recipe.Loss) + ".",
	"gammaHelp": fmt.Sprintf("Gamma of --loss focal and dual, or auto: the one that --p0 gives. Default: %g.",
		recipe.Gamma),
	"lrHelp": "Peak learning rate. Default: 0.002 a clip of the batch for sgd, 0.05 for few short clips, 0.003 for adamw.",
	"scheduleHelp": "What follows the warm-up: cosine, to zero, or steps:EPOCH,..., " +
		"the epochs after which the rate falls to a tenth.",
	"calibrateHelp": "Make the probabilities agree with how often the model is right about the validation clips.",
	"l1Help": "Add X times the sum of all weights' sizes, norms' scales among them, to the loss: units then become 0 " +
		"everywhere, which train compress --exact removes.",
	"adversarialHelp": "Learn features that are changed by up to EPS deviations each, in the way that makes the loss " +
		"the largest (projected gradient descent); it takes five times as long.",
	"taughtHelp": "Distillation: weight of the teachers' probabilities in what is learnt.",
	"fromHelp": "Begin with the weights of a model, base, small, tiny or a file, instead of random ones; with other " +
		"labels, the head begins anew. none: random ones. Default: base for few short clips that it tells apart, or none.",
	"testFoldHelp": "With folders fold1, fold2 and so on, the one that is held out for the test. Default: the last.",
	"foldsHelp": "Cross-validation: train without each fold, measure on it, then train on all. The folds are folders " +
		"fold1, fold2 and so on, or with a number that many are made.",
	"hopHelp": "Seconds from one window to the next in recordings that are longer. Default: half a window.",
	"learnLiveHelp": "In the batches with context, learn what a detector of live sound goes by: words where they are " +
		"likeliest, up to 0.16 s from their place, and _unknown_ where a word is likeliest.",
	"mineHelp": "Every N epochs, search the --negatives for places that are taken for words; from then on half of " +
		"the examples from negatives are such places. 0: never.",
	"fluentShareHelp": "Share of the clips in context whose neighbours follow without a pause.",
	"teacherHelp": "Distillation: trained models whose mean probabilities are learnt too, separated by commas. " +
		"They have the same labels.",
	"windowHelp": "Seconds of sound in one decision. Default: the longest clip, at most 10 s; " +
		"where a few are more than twice as long as the others, the longest of the others.",
	"contextHelp": fmt.Sprintf("Seconds of other sound before and after the window, BEFORE:AFTER, with which live "+
		"sound is learnt. Default: up to %g before, and the network's lookahead after.", recipe.Context.Before),
	"featuresHelp": "Frames: default (30 ms every 10 ms, 40 mels) or square32 (the papers' 32 by 32).",
	"augmentHelp":  "Augmentation of the recordings: speech, light, papers (as R-PolyNets' authors) or none.",
	"noiseHelp": "Folders of more recordings without words, which are mixed in and become _silence_, " +
		"separated by commas.",
	"noiseShareHelp": "Share of the clips that noise is added to. Default: 0.6 with --augment speech.",
	"snrHelp":        "Decibels that added noise is below a clip, least and most. Default: 3:30 with --augment speech.",
	"negativesHelp": "Folders of recordings of any length in which none of the words is said, such as running speech: " +
		"they become _unknown_, and surround and accompany words. Separated by commas.",
	"extraHelp": "Folders of more recordings to train on, CLASS/*.wav, separated by commas; " +
		"other words in them become _unknown_.",

	"silenceHelp":     "Share of _silence_ examples cut from _background_noise_, relative to the words' clips.",
	"evalContextHelp": "Also measure each clip in noise, and in the middle of five seconds of others in that noise.",

	"tuneDataHelp": "Folder of recordings of the words, CLASS/*.wav.",
	"splitHelp":    "Part of the data: valid, test, train or all.",
	"withoutHelp": "Folders of recordings in which none of the words is said, each measured by itself: backgrounds, " +
		"speech, what must not trigger.",
	"underHelp": "Folders of recordings that are mixed under the words, which should be no speech. " +
		"Default: those of --without.",
	"fluentHelp":  "Measure the words also without pauses between them, five to eight of one speaker in a row.",
	"minutesHelp": "Minutes of each folder of --without, and of other words, at most; 0, the default, is all.",
	"liveHelp": "Measure the model's operating point on live sound instead: false alarms an hour in each folder of " +
		"--without, misses, delays; docs/live.md describes it.",
	"falseAlarmsHelp": "Most false alarms an hour in all sound that is not made of the words",
	"folderLimitHelp": "Most false alarms an hour in a folder of --without; may be given for several.",
	"forceHelp": "Store an operating point, too, that misses more than half of the words or was measured on fewer " +
		"than 20 words or half an hour without words.",
	"recordingsHelp": "Folders of recordings with cue points, which are used as they are: cue points with a word as " +
		"their label say when it is said.",
	"delayHelp": "Most seconds from a word's end to its event, for 95 % of the detected words; " +
		"0, the default, is any number.",

	"enrollModelHelp": "Model whose network is used: base, the default, small, tiny or a file. Words that enroll gave " +
		"it stay, those that it was trained on do not.",
	"enrollOutHelp": "Model file to write. Default: the file of --model.",
	"takenHelp":     "Percent of clips of other words that may be taken for the word",
	"soundsHelp": "Folders of sound without the word: short clips count as other words, named like their folders, and " +
		"longer recordings as running sound. Needed for networks that are none of the embedded models'. Separated by commas.",
	"wakeAlarmsHelp": "Events an hour that are to be expected in sound like that of --negatives, at most",

	"methodHelp": "What is fitted: one temperature, or with vector a factor and a shift for each label. Default: " +
		"the one that is likelier for clips that it was not fitted to.",
	"unknownHelp": "Folders of sounds that are of none of the labels, separated by commas: the model learns to answer " +
		"_unknown_ to such.",
	"oddsHelp": "How many times as frequent a label is, against the others, as among the examples of training: " +
		"_unknown_=0.5 takes fewer words for others.",
	"lostHelp": "With --unknown, how many of the clips that are classified right may be lost to _unknown_.",

	"macsHelp":  "Share of the multiply-adds that stays, above 0 and at most 1.",
	"floorHelp": "Percent points of accuracy on the validation clips that may go, before --finetune.",
	"rules":     "similarity,moments,random,scale,magnitude",
	"byHelp": "What goes first: similarity, or to compare with, moments (similarity whatever a channel is used for), " +
		"random, scale (of norms) or magnitude (of filters).",
	"foldHelp": "How other channels make up for those that go: all, by regression on all that stay, pair, on the one " +
		"that is most like, or none.",
	"steepnessHelp": "How steeply regions end, 1 to 100000: the approximation is wrong within 1/S deviations of where " +
		"several of them meet.",
	"mostHelp": "Patterns of the network of one row of logits that are counted at most; 0 counts none.",
	"patternsHelp": "Patterns of active units that the approximation is made of: all that are possible, or those that " +
		"the calibration clips reach.",
	"lanesHelp":   "Widths are whole multiples of this, or what they were: kernels compute as many together.",
	"weightsHelp": "Precision of the blocks' weights: float32, the default, int8 or ternary (docs/compress.md).",
	"fitEndsHelp": "With --weights int8 or ternary, those of stem and head: float32, or narrow as the blocks'.",
	"endsHelp":    "Whether stem and head are narrow, too: float32, narrow, or auto, each where it costs little.",
	"foldNormsHelp": "At last, make the statistics of norms part of their scales, for a smaller .gz file. Training on " +
		"needs the statistics.",
	"refineHelp":           "Refine narrow weights: conntra (descent over levels) or ste (straight-through training).",
	"groupHelp":            "With --refine conntra: changes tried together at least; 1 tries every level of each weight.",
	"searchHelp":           "With --refine conntra: model file to write after each round, which --resume continues.",
	"clustersHelp":         "Write a table of the channels, and a picture of each tree of clusters, to this folder.",
	"finetuneRateHelp":     fmt.Sprintf("Peak learning rate. Default: %g times that of fit.", finetuneRate),
	"calibrationClipsHelp": "Training clips, at most, on which the network's values are looked at.",

	"reportHelp": "Folder to write; its page is index.html. An earlier report is replaced, other files only with " +
		"--force, and a folder with folders in it never.",
	"reportLogHelp": "CSV file of train fit --log, for the learning curves. " +
		"Default: the checkpoint beside the model, where there is one.",

	"tunedHelp": "Write the model with the operating point that was chosen to this file.",
	"detHelp":   "Write the curve of misses over false alarms to this file, .png or .svg.",

	"averagedHelp": "Models of one network, trained from one another with other seeds or recipes; " +
		"named twice, one counts twice.",

	"exportHelp":    "ONNX file to write; docs/onnx.md describes it.",
	"stateDictHelp": "State dict of bench/pytorch's network, in a safetensors file.",
	"importHelp":    "ONNX file that train export wrote, or torch.onnx.export of bench/pytorch's network.",
	"likeHelp":      "Model file whose network, labels, features, normalisation and window are those of the weights.",
	"normHelp":      `JSON file of the frames' normalisation: {"mean": [...], "std": [...], "limit": 4}.`,
}

// flagText returns the text of a flag for structs of numbers, in the order of their fields.
func flagText(v any) string {
	return strings.NewReplacer("} {", ",", " ", ":", "{", "", "}", "", "[", "", "]", "").Replace(fmt.Sprint(v))
}

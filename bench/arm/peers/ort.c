// Runs a network that polyphon exported with ONNX Runtime, on one thread: ort LIBRARY MODEL FRAMES MELS. After each of a
// few runs it prints the first logit.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "onnxruntime_c_api.h"

static const OrtApi *api;

static void check(OrtStatus *status) {
	if (status) {
		fprintf(stderr, "%s\n", api->GetErrorMessage(status));
		exit(1);
	}
}

int main(int argc, char **argv) {
	if (argc != 5)
		return 2;
	void *library = dlopen(argv[1], RTLD_NOW);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(library, "OrtGetApiBase");
	api = base()->GetApi(ORT_API_VERSION);
	OrtEnv *env;
	OrtSessionOptions *options;
	OrtSession *session;
	OrtMemoryInfo *memory;
	check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "polyphon", &env));
	check(api->CreateSessionOptions(&options));
	check(api->SetIntraOpNumThreads(options, 1));
	check(api->SetInterOpNumThreads(options, 1));
	check(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
	check(api->CreateSession(env, argv[2], options, &session));
	check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
	int64_t shape[] = {1, atoi(argv[3]), atoi(argv[4])};
	size_t values = shape[1] * shape[2];
	float *rows = malloc(values * sizeof *rows);
	for (size_t i = 0; i < values; i++)
		rows[i] = (float)(i * 7919 % 1000) / 1000 - 0.5f;
	OrtValue *input;
	check(api->CreateTensorWithDataAsOrtValue(memory, rows, values * sizeof *rows, shape, 3,
	                                          ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input));
	const char *inputs[] = {"log_mel"}, *outputs[] = {"logits"};
	for (int i = 0; i < 4; i++) {
		OrtValue *output = NULL;
		float *logits;
		check(api->Run(session, NULL, inputs, (const OrtValue *const *)&input, 1, outputs, 1, &output));
		check(api->GetTensorMutableData(output, (void **)&logits));
		dprintf(1, "%g\n", logits[0]);
		api->ReleaseValue(output);
	}
	return 0;
}

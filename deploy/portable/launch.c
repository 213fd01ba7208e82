/* The exporter in one file: the interpreter, with a zip of all modules at the end of the same file.
   dlopen loads extension modules (lxml, httptools, bcrypt) only from files: _memory_file makes one without a name. */
#include <Python.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOSE_ON_EXEC 1 /* linux/memfd.h; glibc has memfd_create only since 2.27 */

/* A descriptor of a new file in memory; before Linux 3.17 in $TMPDIR or /tmp, and deleted at once. */
static int new_file(void)
{
    int descriptor = (int)syscall(SYS_memfd_create, "module", CLOSE_ON_EXEC);
    if (descriptor >= 0)
        return descriptor;
    char path[4096];
    const char *directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/moduleXXXXXX", directory && *directory ? directory : "/tmp");
    descriptor = mkostemp(path, O_CLOEXEC);
    if (descriptor >= 0)
        unlink(path);
    return descriptor;
}

static PyObject *create(PyObject *module, PyObject *content)
{
    (void)module;
    char *bytes;
    Py_ssize_t left;
    if (PyBytes_AsStringAndSize(content, &bytes, &left))
        return NULL;
    int descriptor = new_file();
    if (descriptor < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    while (left > 0) {
        ssize_t written = write(descriptor, bytes, (size_t)left);
        if (written <= 0) {
            PyErr_SetFromErrno(PyExc_OSError);
            close(descriptor);
            return NULL;
        }
        bytes += written;
        left -= written;
    }
    return PyLong_FromLong(descriptor);
}

static PyMethodDef functions[] = {
    {"create", create, METH_O, "Return the descriptor of a new file with these bytes."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_memory_file", NULL, -1, functions, NULL, NULL, NULL, NULL};

static PyObject *initialize(void)
{
    return PyModule_Create(&definition);
}

/* As `python -sP` would begin, but all modules are in this file. */
static PyStatus configure(PyConfig *config, int argc, char **argv, const char *self)
{
    PyStatus status = PyConfig_SetBytesArgv(config, argc, argv);
    wchar_t **paths[] = {&config->executable, &config->base_executable, &config->home, &config->prefix,
                         &config->exec_prefix, &config->base_prefix, &config->base_exec_prefix};
    for (size_t i = 0; i < sizeof paths / sizeof *paths && !PyStatus_Exception(status); i++)
        status = PyConfig_SetBytesString(config, paths[i], self);
    if (!PyStatus_Exception(status))
        status = PyConfig_SetString(config, &config->run_module, L"__portable__");
    if (!PyStatus_Exception(status))
        status = PyWideStringList_Append(&config->module_search_paths, config->executable);
    return status;
}

int main(int argc, char **argv)
{
    static char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) {
        fputs("pacemaker-bundle-exporter: cannot read the link /proc/self/exe: is /proc mounted?\n", stderr);
        return 70;
    }
    PyImport_AppendInittab("_memory_file", initialize);
    PyPreConfig before;
    PyPreConfig_InitPythonConfig(&before);
    before.parse_argv = 0;
    PyStatus status = Py_PreInitialize(&before);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.parse_argv = 0;
    config.safe_path = 1;
    config.site_import = 0;
    config.user_site_directory = 0;
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    config.module_search_paths_set = 1;
    status = configure(&config, argc, argv, self);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    return Py_RunMain();
}
